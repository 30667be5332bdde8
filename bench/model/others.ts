/** Beside OpenVINO GenAI on the F16 file: decoding with the full cache and with one that evicts, and prompts. */
import { evictOnly, zsmerge } from '../../src/index.js'
import { compareDecoding } from './decode.js'
import type { OpenVino } from './openvino.js'
import { comparePrompts, multipliesBfloat16 } from './prompts.js'
import type { Length, Named, Setting } from './setting.js'

/** A tenth of 4k in its blocks of 32. */
const SLOTS = 416
const file = 'F16'

export async function openVino(setting: Setting): Promise<void> {
  const library = await setting.openVino()
  const full = await theirsOf(setting, library)
  for (const depth of setting.chosen(['1k', '4k']))
    await compareDecoding(setting, {
      title: `decode at ${depth}`,
      file,
      depth,
      ours: [{ name: 'full cache' }],
      theirs: full,
    })
  for (const depth of setting.chosen(['4k'])) await evicting(setting, library, depth)
  for (const length of setting.chosen(['1k', '4k', '8k'])) await comparePrompts(setting, file, length, full)
  for (const { peer } of full) await peer.dispose()
}

async function evicting(setting: Setting, library: OpenVino | undefined, depth: Length): Promise<void> {
  const theirs = await theirsOf(setting, library, SLOTS)
  await compareDecoding(setting, {
    title: `decode after ${depth} with ${SLOTS} slots`,
    file,
    depth,
    ours: [
      { name: 'ZSMerge', policy: zsmerge({ budget: SLOTS }), slots: SLOTS },
      { name: 'evicting only', policy: evictOnly({ budget: SLOTS }), slots: SLOTS },
    ],
    theirs,
  })
  for (const { peer } of theirs) await peer.dispose()
}

/** As it chooses itself and, where that is bfloat16, in float32, too; evicting down to `evict` slots. */
async function theirsOf(setting: Setting, library: OpenVino | undefined, evict?: number): Promise<Named[]> {
  if (!library) return []
  const path = await setting.pathOf(file)
  const name = `${library.name}${evict ? ', evicting' : ''}`
  if (!multipliesBfloat16(await setting.model(file))) return [{ name, peer: await library.peer(path, { evict }) }]
  return [
    { name: `${name}, bfloat16`, peer: await library.peer(path, { evict }) },
    { name: `${name}, float32`, peer: await library.peer(path, { evict, precision: 'f32' }) },
  ]
}
