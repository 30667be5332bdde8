/** The run card: everything that a run depends on, so that it can be repeated and cited. */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'
import type { DeviceInfo } from '../native/device.js'
import type { ResolvedHeads } from '../native-cache.js'
import type { Policy } from '../policies/index.js'
import type { Sampling } from '../sampling.js'
import type { Intervention } from '../interventions.js'
import type { HeldWeights, LoadedModel } from '../loaded-model.js'
import type { Reading } from '../reading.js'
import { cardText } from '../show/file-texts.js'
import { showsItself } from '../show/show.js'

export interface PolicyCard {
  name: string
  mode: string | undefined
  acts: string
  options: Record<string, unknown>
  /** What a wrapper works on. */
  of?: PolicyCard
}

/** What everything that a model computes depends on. */
export interface EngineCard {
  model: { name: string; file: string; sha256: string; license: string | undefined; parameters: number }
  versions: { zslab: string; node: string; abi: number }
  cpu: { isa: string; features: string[] }
  /** What multiplied matrices. */
  library: string
  threads: number
  /** Where caches were kept and decode steps ran; the results are the same. */
  device: DeviceInfo
  weights: string
  /** What of them is held, and what multiplied them. */
  held: HeldWeights
  /** Rounding: what of the results depends on threads, instruction set and library. */
  exactness: string
}

export interface Card extends EngineCard {
  policy: PolicyCard
  /** Slots by region that shares came to; undefined where nothing was read. */
  resolved: ResolvedHeads | undefined
  /** What was asked beside the tokens, and after which step (0 = the prompt): options that changed, tokens that left, stayed or came back. */
  interventions?: Intervention[]
  /** Of a run; the trace of a whole session has neither this nor a seed. */
  sampling?: { temperature: number; topK: number | undefined; topP: number; minP: number }
  seed?: number
  storage: string
}

let version: string | undefined

export function ownVersion(): string {
  return (version ??= (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string })
    .version)
}

const policyCard = ({ name, mode, acts, options, of }: Policy): PolicyCard => ({
  name,
  mode,
  acts,
  options: { ...options },
  ...(of && { of: policyCard(of) }),
})

/** Errors: 'invalid' where the model file's SHA-256 is not known yet. */
export function cardOf(reading: Reading, resolved: ResolvedHeads | undefined, sampling?: Sampling): Card {
  const { model, ...engine } = engineCard(reading.model)
  const { seed, ...chosen } = sampling ?? {}
  const card: Card = {
    model,
    policy: policyCard(reading.policy),
    resolved,
    ...(reading.interventions.length > 0 && { interventions: reading.interventions }),
    ...(sampling && { sampling: chosen as Omit<Sampling, 'seed'>, seed }),
    storage: reading.storage,
    ...engine,
  }
  return showsItself(card, cardText)
}

/** Errors: as of cardOf. */
export function engineCard({ file, engine, weights, held }: LoadedModel): EngineCard {
  if (file.hash === undefined)
    throw new ZslabError(
      'invalid',
      `the card says the SHA-256 of ${file.name}, which nobody has asked for yet: await session.model.file.sha256() first, or generate`,
    )
  return {
    model: {
      name: basename(file.name),
      file: basename(file.path),
      sha256: file.hash,
      license: file.license,
      parameters: file.description.parameters,
    },
    versions: { zslab: ownVersion(), node: process.versions.node, abi: engine.info.abi },
    cpu: { isa: engine.info.isa, features: engine.info.cpuFeatures },
    library: engine.info.library,
    threads: engine.info.threads,
    device: engine.info.device,
    weights,
    held,
    exactness:
      weights === 'bfloat16'
        ? 'the same tokens for any number of threads; another instruction set or library rounds the products of prompts differently'
        : 'the same logits, bit for bit, for any number of threads and any instruction set',
  }
}
