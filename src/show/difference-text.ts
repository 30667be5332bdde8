/** How two runs' difference shows itself. */
import { counted, lines } from './texts.js'

interface Head {
  layer: number
  kvHead: number
  jaccard: number
  fates: number[][]
  elsewhere: number
  changed: number
}

export interface DifferenceFacts {
  model: string
  labels: readonly [string, string]
  shared: number
  settings: readonly { name: string; a: unknown; b: unknown }[]
  written: readonly { ids: readonly number[]; texts: readonly string[]; logprobs: ArrayLike<number> }[]
  firstDifference: number | null
  at(): { heads: readonly Head[]; meanJaccard: number }
}

const SETTINGS = 4

export function differenceText(difference: DifferenceFacts): string {
  const { model, labels, shared } = difference
  const { heads, meanJaccard } = difference.at()
  const sorted = [...heads].sort((x, y) => x.jaccard - y.jaccard)
  const [least, most] = [sorted[0], sorted[sorted.length - 1]]
  const named = ({ jaccard, layer, kvHead }: Head) => `${jaccard.toFixed(2)} (layer ${layer}, kv head ${kvHead})`
  const sum = (value: (head: Head) => number) => heads.reduce((all, head) => all + value(head), 0)
  const fates = ['kept', 'merged', 'dropped']
  const moved = fates.flatMap((a, i) =>
    fates.map((b, j) => ({ words: `${a} → ${b}`, tokens: i === j ? 0 : sum((head) => head.fates[i][j]) })),
  )
  const changes = moved.filter(({ tokens }) => tokens).map(({ words, tokens }) => `${words} ${counted(tokens)}`)
  const elsewhere = sum((head) => head.elsewhere)
  if (elsewhere) changes.push(`merged elsewhere ${counted(elsewhere)}`)
  return lines(
    `Difference of a (${labels[0]}) and b (${labels[1]}) on ${model}: ${counted(shared)} tokens at the same places of both texts`,
    settingsText(difference.settings),
    `kept at the end: mean Jaccard ${meanJaccard.toFixed(2)} over ${counted(heads.length)} kv heads, least ${named(least)}, most ${named(most)}`,
    `fates, a → b: ${counted(sum((head) => head.changed))} of ${counted(shared * heads.length)} differ${changes.length ? `: ${changes.join(', ')}` : ''}`,
    outputText(difference),
    'next: difference.heads(), difference.lineage({ layer, kvHead }), difference.outputs(), difference.text(), figures.difference(difference)',
  )
}

function settingsText(settings: DifferenceFacts['settings']): string {
  if (!settings.length) return 'cards: the same'
  // Another policy has other options: its name says it.
  const other = settings.some(({ name }) => name === 'policy.name')
  const told = settings.filter(({ name }) => !other || name === 'policy.name' || !name.startsWith('policy.'))
  const shown = told.slice(0, SETTINGS).map(({ name, a, b }) => `${name} ${String(a)} / ${String(b)}`)
  const more = told.length - shown.length
  return `cards, a / b: ${shown.join('; ')}${more ? `; and ${more} more` : ''}`
}

function outputText({ written, firstDifference: at }: DifferenceFacts): string {
  const [a, b] = written
  if (at === null) return `texts: the same ${counted(a.ids.length)} tokens`
  const [x, y] = written.map(({ texts, logprobs }) =>
    at < texts.length ? `${JSON.stringify(texts[at])} (ln p ${logprobs[at].toFixed(2)})` : 'nothing',
  )
  return `texts of ${counted(a.ids.length)} and ${counted(b.ids.length)} tokens part at generated token ${at + 1}: ${x} in a, ${y} in b`
}
