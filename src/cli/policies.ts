/** `npx zslab policies [name]`: what there is, every option with unit and defaults by mode, how to cite it. */
import { Command } from 'commander'
import { shown, ZslabError } from '../errors.js'
import { POLICIES, type PolicyDefinition } from '../policies/index.js'
import { json, print } from './common.js'

export function policiesCommand(): Command {
  return new Command('policies')
    .description('list the cache policies, or every option of one with its defaults')
    .argument('[name]', 'one policy')
    .option('--json', 'an array of { name, about, options [{ name, unit, about, defaults by mode }], citation }')
    .option('--bibtex', 'how to cite them')
    .action((name: string | undefined, options: { json?: boolean; bibtex?: boolean }) => {
      const list = POLICIES.filter((policy) => name === undefined || policy.name === name)
      if (list.length === 0)
        throw new ZslabError(
          'invalid',
          `no policy is called ${shown(name)}; there are: ${POLICIES.map((one) => one.name).join(', ')}`,
        )
      if (options.bibtex) return print(list.map(({ citation }) => citation).join('\n\n'))
      if (options.json) return print(json(list.map(described)))
      print(list.map(name === undefined ? (policy) => `${policy.name.padEnd(12)}${policy.about}` : page).join('\n'))
    })
}

function described(policy: PolicyDefinition) {
  return {
    name: policy.name,
    about: policy.about,
    citation: policy.citation,
    options: Object.entries(policy.options).map(([name, { unit, about }]) => ({
      name,
      unit,
      about,
      defaults: Object.fromEntries(
        Object.entries(policy.presets).map(([mode, values]) => [mode || 'default', values[name]]),
      ),
    })),
  }
}

function page(policy: PolicyDefinition): string {
  const modes = Object.keys(policy.presets)
  const widths = [14, ...modes.map(() => 14)]
  const row = (cells: string[], rest: string) => cells.map((cell, i) => cell.padEnd(widths[i])).join('') + rest
  const head = row(['option', ...modes.map((mode) => mode || 'default')], 'meaning (unit)')
  const rows = Object.entries(policy.options).map(([name, { about, unit, flag }]) =>
    row(
      [name, ...modes.map((mode) => String(policy.presets[mode][name]))],
      `${about} (${unit}${flag ? `; --${flag}` : ''})`,
    ),
  )
  return [`${policy.name}: ${policy.about}`, '', head, ...rows, '', policy.citation].join('\n')
}
