/** The explorer's sentences: what a step did, what a token is and was, what a head is. For eyes and screen readers alike. */
import { ACTION, REASONS } from '../trace/actions.js'
import { counted, plainNumber, shortNumber } from '../figures/scale.js'
import { visible } from '../figures/visible.js'
import type { ExplorerRun, ExplorerSizes } from './data.js'
import { regionAt, type RegionNow } from './look.js'
import { TOKEN, type HeadStory } from './story.js'

export type TextOf = (position: number) => string

const named = (text: TextOf, position: number) =>
  `“${visible(text(position)).trim() || '␣'}” at ${plainNumber(position)}`

/** Spelt out up to this many events of a step. */
const SPELT = 4

/** 'Step 12 of 200: “whale” at 611 came; “the” at 410 merged into slot 2, which stands for 31.' */
export function stepSentence(story: HeadStory, step: number, text: TextOf): string {
  const { events, lastStep } = story
  const [from, to] = story.rows(step)
  const head = `Step ${plainNumber(step)} of ${plainNumber(lastStep)}`
  const counts = { came: 0, left: 0, merged: 0, dropped: 0 }
  const parts: string[] = []
  const wishes: string[] = [] // what people asked for is named however much else happened
  for (let row = from; row < to; row++) {
    const position = events.position[row]
    // A token of the prompt that never had a slot has no admit of its own.
    if (events.action[row] === ACTION.options) {
      parts.push(`the policy goes on with other options from position ${plainNumber(position)}`)
      continue
    }
    if (events.action[row] === ACTION.admit || events.slot[row] < 0) counts.came++
    switch (events.action[row]) {
      case ACTION.admit:
        parts.push(`${named(text, position)} came`)
        break
      case ACTION.leave:
        counts.left++
        parts.push(`${named(text, position)} is no longer among the recent`)
        break
      case ACTION.merge:
        counts.merged++
        parts.push(
          `${named(text, position)} merged into slot ${events.target[row]}, which now stands for ${plainNumber(events.weight[row] + events.targetWeight[row])}`,
        )
        break
      case ACTION.drop:
        if (asked(events, row)) {
          wishes.push(`${named(text, position)} was asked to leave`)
          break
        }
        counts.dropped++
        parts.push(`${named(text, position)} was dropped`)
        break
      case ACTION.pin:
        wishes.push(`${named(text, position)} was pinned`)
        break
      case ACTION.unevict:
        wishes.push(`${named(text, position)} was brought back`)
        break
    }
  }
  if (parts.length + wishes.length <= SPELT) return `${head}: ${[...parts, ...wishes].join('; ') || 'nothing changed'}.`
  const said = [
    counts.came && `${counted(counts.came, 'token')} came`,
    counts.left && `${plainNumber(counts.left)} left the recent`,
    counts.merged && `${plainNumber(counts.merged)} merged`,
    counts.dropped && `${plainNumber(counts.dropped)} dropped`,
    ...wishes.slice(0, SPELT),
    wishes.length > SPELT && `${plainNumber(wishes.length - SPELT)} more asked for`,
  ].filter(Boolean)
  return `${head}${step === 0 ? ' (the prompt)' : ''}: ${said.join(', ')}.`
}

const asked = (events: HeadStory['events'], row: number) => REASONS[events.reason[row]] === 'asked'

const REGION_WORDS: Record<RegionNow, string> = {
  'not yet': 'has not come yet',
  dropped: 'dropped',
  merged: 'merged',
  residual: 'alone in a residual slot',
  sink: 'kept, one of the first',
  context: 'kept, older',
  recent: 'kept, recent and protected',
}

/** Lines about the token at `position`, once all events of `step` have happened. */
export function tokenLines(
  story: HeadStory,
  step: number,
  position: number,
  text: TextOf,
  read: number,
  sizes: ExplorerSizes,
): string[] {
  const now = story.at(step)
  const region = regionAt(now, position, sizes)
  const slot = now.slot[position]
  const lines = [`${named(text, position)}, ${position < read ? 'read' : 'generated'}`]
  if (region === 'merged')
    lines.push(`merged: one of ${counted(story.members(step, slot).length, 'token')} in slot ${plainNumber(slot)}`)
  else lines.push(slot < 0 ? REGION_WORDS[region] : `${REGION_WORDS[region]}, slot ${plainNumber(slot)}`)
  const pinned = story.pinned[position]
  if (pinned >= 0)
    lines.push(`${pinned > step ? 'will be pinned' : 'pinned'} at step ${plainNumber(pinned)}: it never leaves`)
  for (const { position: one, left, back } of story.gaps)
    if (one === position) lines.push(`gone from step ${plainNumber(left)} on, back at step ${plainNumber(back)}`)
  const row = story.left[position]
  if (row >= 0) lines.push(lostWords(story, position, row, step))
  else if (now.state[position] !== TOKEN.notYet) lines.push('keeps its slot to the end')
  const scored = story.scored[position]
  if (row < 0 && scored >= 0 && now.state[position] !== TOKEN.notYet)
    lines.push(`score ${shortNumber(story.events.score[scored])} at step ${plainNumber(story.events.step[scored])}`)
  return lines
}

/** How and why it lost its slot. The first member of a merged slot lost it when the second came. */
function lostWords({ events }: HeadStory, position: number, row: number, step: number): string {
  const at = events.step[row]
  const when = at > step ? 'will' : 'was'
  const stepWords = `at step ${plainNumber(at)}`
  if (events.position[row] !== position)
    return `${at > step ? 'will share' : 'shares'} its slot from step ${plainNumber(at)} on, as the first in it`
  const merged = events.action[row] === ACTION.merge
  const what = merged ? `merged into slot ${plainNumber(events.target[row])}` : 'dropped'
  return `${when === 'will' ? `will be ${what}` : `${what}`} ${stepWords}${whyWords(events, row)}`
}

/** ': the lowest score of the candidates, 0.0021; the lowest that stayed 0.003; similarity 0.81'. */
function whyWords(events: HeadStory['events'], row: number): string {
  const known: string[] = []
  const reason = REASONS[events.reason[row]]
  if (reason === 'age') known.push('the oldest')
  if (reason === 'score') known.push('for its score')
  if (reason === 'asked') known.push('as it was asked for')
  if (reason === 'choice') known.push('the policy chose it')
  const number = (name: string, value: number) => Number.isNaN(value) || known.push(`${name} ${shortNumber(value)}`)
  if (events.rank[row] >= 0) known.push(`rank ${plainNumber(events.rank[row])} to leave`)
  number('score', events.score[row])
  number('lowest that stayed', events.threshold[row])
  number('similarity', events.similarity[row])
  return known.length ? `: ${known.join(', ')}` : ''
}

export interface MemberLine {
  position: number
  text: string
  /** When and how it came into the slot. */
  step: number | undefined
  score: number
  similarity: number
}

/** Who is in a slot at `step`, in order of arrival: a line for each of the newest `most`, undefined before those. */
export function memberLines(
  story: HeadStory,
  step: number,
  slot: number,
  text: TextOf,
  most = Infinity,
): (MemberLine | undefined)[] {
  const { events, left } = story
  const members = story.members(step, slot)
  return members.map((position, i) => {
    if (i < members.length - most) return undefined
    const row = left[position]
    const own = row >= 0 && events.position[row] === position && events.step[row] <= step
    return {
      position,
      text: visible(text(position)),
      step: own ? events.step[row] : undefined,
      score: own ? events.score[row] : NaN,
      similarity: own ? events.similarity[row] : NaN,
    }
  })
}

/** 'Layer 15, kv head 0: 300 slots of 3,063 tokens; 3 merged slots stand for 1,900, 863 dropped.' */
export function headSentence(story: HeadStory, step: number, layer: number, kvHead: number): string {
  const now = story.at(step)
  let shared = 0
  for (let position = 0; position <= now.newest; position++) if (now.state[position] === TOKEN.merged) shared++
  const merged = now.merged
    ? `${counted(now.merged, 'merged slot')} ${now.merged === 1 ? 'stands' : 'stand'} for ${plainNumber(shared)}`
    : 'none merged'
  return `Layer ${layer}, kv head ${kvHead}: ${counted(now.slots, 'slot')} for ${counted(now.newest + 1, 'token')}; ${merged}, ${plainNumber(now.dropped)} dropped.`
}

/** How two runs' caches differ at a step, token by token. */
export function differenceSentence(a: HeadStory, b: HeadStory, step: number, labels: readonly string[]): string {
  const [one, other] = [a.at(Math.min(step, a.lastStep)), b.at(Math.min(step, b.lastStep))]
  const counts = { both: 0, first: 0, second: 0 }
  for (let position = 0; position <= Math.max(one.newest, other.newest); position++) {
    const first = one.state[position] === TOKEN.alone
    const second = other.state[position] === TOKEN.alone
    if (first && second) counts.both++
    else if (first) counts.first++
    else if (second) counts.second++
  }
  const { both, first, second } = counts
  const all = both + first + second
  const alike = all ? ` (Jaccard ${(both / all).toFixed(2)})` : ''
  return `Kept on their own in both: ${plainNumber(both)}${alike}; only in ${labels[0]}: ${plainNumber(first)}; only in ${labels[1]}: ${plainNumber(second)}.`
}

/** What a run is, in a line. */
export function runSentence(run: ExplorerRun): string {
  const { budget } = run.sizes[0]
  const slots =
    run.sizes.length > 1
      ? 'its own budget for every kv head'
      : budget
        ? `${plainNumber(budget)} slots per kv head`
        : 'every token kept'
  return `${run.policyName}, ${slots}; ${counted(run.tokens.count, 'token')}, ${plainNumber(run.lastStep)} steps after the prompt`
}
