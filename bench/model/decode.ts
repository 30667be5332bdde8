/** Decoding: steps at several depths, with the full cache and under ZSMerge, beside llama.cpp on the same file. */
import { zsmerge, type Policy } from '../../src/index.js'
import { stepBytes } from './ceiling.js'
import type { File, Length, Named, Setting } from './setting.js'
import { median, type Contender } from './turns.js'

/** Tokens of a turn; the first, which pays for the pause before it, is left out. */
const BLOCK = 7
const BUDGET = 0.1

export async function decode(setting: Setting): Promise<void> {
  for (const depth of setting.chosen(['128', '1k', '8k'])) await beside(setting, 'default', depth)
  for (const depth of setting.chosen(['128', '8k'])) await beside(setting, 'F16', depth)
}

async function beside(setting: Setting, file: File, depth: Length): Promise<void> {
  const { ids, more } = await deep(setting, depth)
  const ours: Compressed[] = [{ name: 'full cache' }]
  if (depth === '8k')
    ours.push({ name: 'ZSMerge 10%', policy: zsmerge({ budget: BUDGET }), slots: Math.round(BUDGET * ids.length) })
  const theirs = await setting.llamaPeers(file, ids.length + more)
  await compareDecoding(setting, { title: `decode at ${depth}`, file, depth, ours, theirs })
  for (const { peer } of theirs) await peer.dispose()
}

/** One of ours: its policy, and how many slots a kv head has then, where that is not every token. */
export interface Compressed {
  name: string
  policy?: Policy
  slots?: number
}

export interface Decoding {
  title: string
  file: File
  depth: Length
  ours: Compressed[]
  theirs: Named[]
}

/** Everybody reads the prompt, then all decode in turns: ms a token, medians of the tokens of a turn. */
export async function compareDecoding(setting: Setting, { title, file, depth, ...all }: Decoding): Promise<void> {
  const { ids, more } = await deep(setting, depth)
  const model = await setting.model(file)
  const ours: Named[] = []
  for (const { name, policy } of all.ours)
    ours.push({ name: `zslab, ${name}`, peer: await setting.ours(file, { policy }) })
  for (const { peer } of [...ours, ...all.theirs]) await peer.prompt(ids)
  await setting.compare({
    title: `${title}, ${file} file`,
    unit: 'ms a token',
    digits: 2,
    ours: ours.map(block),
    theirs: all.theirs.map(block),
    bytes: all.ours.map(({ slots }) => stepBytes(model, slots ?? ids.length + more / 2)),
  })
  for (const { peer } of ours) await peer.dispose()
}

/** What is read before the turns, and how many tokens they decode. */
async function deep(setting: Setting, depth: Length): Promise<{ ids: Int32Array; more: number }> {
  const more = setting.options.turns * BLOCK
  return { ids: await setting.prompt(depth, more), more }
}

const block = ({ name, peer }: Named): Contender => ({
  name,
  ask: async () => median((await peer.decode(BLOCK)).slice(1)),
})
