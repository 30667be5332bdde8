/** `npx zslab policies [name]`: what there is, every option with unit and defaults by mode, how to cite it. */
import { Command } from 'commander'
import { OPTIONS, policyNamed, POLICIES, type PolicyDefinition } from '../policies/index.js'
import { json, print } from './common.js'

export function policiesCommand(): Command {
  return new Command('policies')
    .description('list the cache policies, or every option of one with its defaults')
    .argument('[name]', 'one policy')
    .option('--json', 'an array of { name, about, options [{ name, unit, about, defaults by mode }], citation }')
    .action((name: string | undefined, options: { json?: boolean }) => {
      if (name !== undefined) policyNamed(name) // refuses an unknown name
      const list = POLICIES.filter((policy) => name === undefined || policy.name === name)
      if (options.json) return print(json(list.map(described)))
      print(list.map(name === undefined ? (policy) => `${policy.name.padEnd(12)}${policy.about}` : page).join('\n'))
    })
}

function described(policy: PolicyDefinition) {
  return {
    name: policy.name,
    about: policy.about,
    citation: policy.citation,
    options: policy.options.map((name) => ({
      name,
      unit: OPTIONS[name].unit,
      about: OPTIONS[name].about,
      defaults: Object.fromEntries(
        Object.entries(policy.presets).map(([mode, { values }]) => [mode || 'default', values[name]]),
      ),
    })),
  }
}

function page(policy: PolicyDefinition): string {
  const modes = Object.keys(policy.presets)
  const widths = [14, ...modes.map(() => 14)]
  const row = (cells: string[], rest: string) => cells.map((cell, i) => cell.padEnd(widths[i])).join('') + rest
  const head = row(['option', ...modes.map((mode) => mode || 'default')], 'meaning (unit)')
  const rows = policy.options.map((name) =>
    row(
      [name, ...modes.map((mode) => String(policy.presets[mode].values[name]))],
      `${OPTIONS[name].about} (${OPTIONS[name].unit})`,
    ),
  )
  return [`${policy.name}: ${policy.about}`, '', head, ...rows, '', policy.citation].join('\n')
}
