/** The lineage of a slot: who is in it, since when, how much of it each is, and how well it stands for them. */
import { integer, options } from '../expect.js'
import { lineageText } from '../show/lineage-text.js'
import { showsItself } from '../show/show.js'
import type { TraceCell } from '../trace/columns.js'
import type { RunToken } from '../trace/data.js'
import { membersAt, type Member } from '../trace/lineage.js'
import { mergesOf } from '../trace/shares.js'
import type { Examined } from './autopsy.js'
import { coherenceOf, type Coherence } from './coherence.js'
import type { HeadOf, HeadVectors } from './vectors.js'
import { Tabular } from './tabular.js'

export interface LineageOptions {
  /** As of the end of this step; default: the last. */
  step?: number
  layer: number
  kvHead: number
  slot: number
}

export interface LineageMember extends Member {
  token: string
}

/** One slot of one kv head at the end of a step. */
export class Lineage extends Tabular {
  readonly layer: number
  readonly kvHead: number
  readonly slot: number
  readonly step: number
  /** In order of arrival. */
  readonly members: readonly LineageMember[]
  /**
   * Drift of each member from the slot, coherence of members and key gaps: from what was recorded at `vectors`. null: it was not, or the policy
   * does not say what a merge makes of two slots.
   */
  readonly coherence: Coherence | null

  /** @internal */
  constructor(of: Required<LineageOptions>, members: readonly LineageMember[], coherence: Coherence | null) {
    super()
    this.layer = of.layer
    this.kvHead = of.kvHead
    this.slot = of.slot
    this.step = of.step
    this.members = members
    this.coherence = coherence
  }

  /** Tokens that the slot stands for. */
  get weight(): number {
    return this.members.length
  }

  /** The members' tokens in order of arrival. */
  get text(): string {
    return this.members.map(({ token }) => token).join('')
  }

  /**
   * A row for each member in order of arrival. `step`: at which it came into the slot (the first: into the cache); `similarity`, `score`: at
   * that moment; `keyShare`, `valueShare`: of the slot's key and value, adding up to 1; `keyDrift`, `valueDrift`: Euclidean distance from
   * these; `keyGap`: σ of (q·k − q·k_slot)/√d in nats. null where there is no such value.
   */
  table(): Record<string, TraceCell[]> {
    const { members, coherence } = this
    const measured = (name: 'keyDrift' | 'valueDrift' | 'keyGap') =>
      members.map((_, i) => (coherence ? coherence[name][i] : null))
    return {
      position: members.map(({ position }) => position),
      token: members.map(({ token }) => token),
      step: members.map(({ step }) => step),
      similarity: members.map(({ similarity }) => similarity),
      score: members.map(({ score }) => score),
      keyShare: members.map(({ keyShare }) => keyShare),
      valueShare: members.map(({ valueShare }) => valueShare),
      keyDrift: measured('keyDrift'),
      valueDrift: measured('valueDrift'),
      keyGap: measured('keyGap'),
    }
  }
}

/** `rows`: of each kv head, [layer * kvHeads + kvHead]; `vectors`: of a head, where they were kept. */
export function lineage(
  { events, data, card, lastStep }: Examined,
  rows: readonly Int32Array[],
  asked: LineageOptions,
  vectors: (of: HeadOf) => HeadVectors | undefined,
): Lineage {
  const of = checkLineage(data, lastStep, asked)
  const how = mergesOf(card.policy)
  const found = membersAt(events, rows[of.layer * data.kvHeads + of.kvHead], of.step, of.slot, how)
  const tokens = new Map(data.tokens.map((token): [number, RunToken] => [token.position, token]))
  const members = found.map((member) => ({ ...member, token: tokens.get(member.position)?.text ?? '' }))
  const shared = found.flatMap(({ position, keyShare, valueShare }) =>
    keyShare === null || valueShare === null ? [] : [{ position, keyShare, valueShare }],
  )
  const given = shared.length === found.length ? vectors({ layer: of.layer, kvHead: of.kvHead }) : undefined
  const measured = given ? coherenceOf(given, shared, data.promptTokens + of.step - 1) : null
  return new Lineage(of, members, measured)
}

function checkLineage(
  { layers, kvHeads }: Examined['data'],
  lastStep: number,
  given: LineageOptions,
): Required<LineageOptions> {
  options('lineage', given, ['step', 'layer', 'kvHead', 'slot'])
  const last = Math.max(0, lastStep)
  return {
    layer: integer('layer', given.layer, 0, layers - 1),
    kvHead: integer('kvHead', given.kvHead, 0, kvHeads - 1),
    slot: integer('slot', given.slot, 0),
    step: integer('step', given.step ?? last, 0, last),
  }
}

showsItself(Lineage.prototype, lineageText)
