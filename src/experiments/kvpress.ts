/** A study as runs of kvpress' evaluation are written: for each what was asked and what came out, so that the two may stand in one table. */
import { ZslabError } from '../errors.js'
import type { Asked } from '../native-cache.js'
import { resolve } from '../policies/index.js'
import { meanOf } from '../statistics/moments.js'
import type { EngineCard } from '../trace/card.js'
import { counts, type Row } from './rows.js'
import type { Setting } from './settings.js'
import { callOf } from './trial.js'
import type { Metric } from './measures/measuring.js'
import type { Task } from './task.js'
import { valueOf } from './trial.js'

export interface KvpressRecord {
  /** As kvpress calls the run's folder. */
  name: string
  /** Fields of its config.yaml; null: they have no meaning here. */
  config: {
    dataset: string
    data_dir: null
    model: string
    device: string
    press_name: string
    /** Share of the prompt's slots that is removed, as the policy was asked; null of policies that keep a part of every slot. */
    compression_ratio: number | null
    fraction: number
    max_new_tokens: null
    max_context_length: null
    /** Whether policies saw the question; null of tasks without one. */
    query_aware: boolean | null
    needle_depth: null
    /** The call that makes the policy. */
    press_init_command: string
    seed: number
  }
  /** Its metrics.json: means over prompts that count; empty where none does. */
  metrics: Record<string, number>
  /** Trials, and those of them that are left out. */
  trials: { done: number; failed: number; unchanged: number }
}

/** What kvpress calls a policy where it has another name for it. */
const PRESSES: Readonly<Record<string, string>> = { full: 'no_press', streaming: 'streaming_llm' }

interface Studied {
  task: Task
  settings: readonly Setting[]
  card: EngineCard
  metrics: readonly Metric[]
  rows: readonly Row[]
  /** Tokens of a seed's prompts, as policies are given them. */
  lengths: (seed: number) => readonly number[]
}

/** One for each setting and seed that has been tried. */
export function kvpressRecords(studied: Studied): KvpressRecord[] {
  const { settings, rows } = studied
  const groups = new Map<Row['levels'], Map<number, Row[]>>()
  for (const row of rows) {
    const seeds = groups.get(row.levels) ?? new Map<number, Row[]>()
    const { seed } = row.trial.prompt
    groups.set(row.levels, seeds.set(seed, [...(seeds.get(seed) ?? []), row]))
  }
  return settings.flatMap(({ levels, policy, budgets }) =>
    Array.from(groups.get(levels) ?? [], ([seed, own]) =>
      recordOf(studied, { policy: policy(seed), budgets }, seed, own),
    ),
  )
}

function recordOf(
  { task, card, metrics, lengths }: Studied,
  { policy, budgets }: Asked,
  seed: number,
  rows: readonly Row[],
): KvpressRecord {
  const [dataset, press] = [task.name.replaceAll(' ', '_'), PRESSES[policy.name] ?? policy.name]
  const ratio = removed({ policy, budgets }, lengths(seed))
  const counted = rows.filter(counts)
  const { question } = task.options
  return {
    name: [dataset, card.model.name, press, ...(ratio === null ? [] : [ratio.toFixed(2)])].join('__'),
    config: {
      dataset,
      data_dir: null,
      model: card.model.name,
      device: card.device.kind,
      press_name: press,
      compression_ratio: ratio,
      fraction: 1,
      max_new_tokens: null,
      max_context_length: null,
      query_aware: question === undefined ? null : question === 'within',
      needle_depth: null,
      press_init_command: callOf(policy, budgets),
      seed,
    },
    metrics: counted.length
      ? Object.fromEntries(metrics.map(({ name }) => [name, meanOf(counted.map(({ trial }) => valueOf(trial, name)))]))
      : {},
    trials: {
      done: rows.length,
      failed: rows.filter(({ trial }) => trial.values === null).length,
      unchanged: rows.filter(({ trial }) => trial.unchanged).length,
    },
  }
}

function removed({ policy, budgets }: Asked, lengths: readonly number[]): number | null {
  if (policy.acts === 'never') return 0
  const shares = lengths.flatMap((tokens) => {
    try {
      const heads = budgets?.flat() ?? [policy.native.budget]
      const slots = meanOf(heads.map((budget) => resolve(policy, tokens, budget).budget))
      return slots ? [Math.max(0, 1 - slots / tokens)] : []
    } catch (error) {
      // A prompt that the policy refuses: its trial failed.
      if (error instanceof ZslabError && error.code === 'invalid') return []
      throw error
    }
  })
  return shares.length ? meanOf(shares) : null
}
