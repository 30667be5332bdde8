/** Reading prompts, beside llama.cpp on the same file; where the CPU multiplies bfloat16 with such weights, too. */
import type { Model, Weights } from '../../src/index.js'
import { stepBytes } from './ceiling.js'
import type { File, Length, Named, Setting } from './setting.js'
import type { Contender } from './turns.js'

export async function prompts(setting: Setting): Promise<void> {
  for (const length of setting.chosen(['1k']))
    for (const file of ['default', 'F16'] as const) {
      const theirs = await setting.llamaPeers(file, (await setting.prompt(length)).length)
      await comparePrompts(setting, file, length, theirs)
      for (const { peer } of theirs) await peer.dispose()
    }
}

/** Ours with its own weights and, where the CPU multiplies them, with bfloat16 ones: ms of the prompt, in turns. */
export async function comparePrompts(setting: Setting, file: File, length: Length, theirs: Named[]): Promise<void> {
  const ids = await setting.prompt(length)
  const model = await setting.model(file)
  const held = new Set<Weights>([model.weights])
  if (multipliesBfloat16(model)) held.add('bfloat16')
  const ours: Named[] = []
  for (const weights of held)
    ours.push({ name: `zslab, weights ${weights}`, peer: await setting.ours(file, { weights }) })
  const asked = ({ name, peer }: Named): Contender => ({ name, ask: () => peer.prompt(ids) })
  await setting.compare({
    title: `prompt of ${length}, ${file} file`,
    digits: 0,
    ours: ours.map(asked),
    theirs: theirs.map(asked),
    bytes: ours.map(() => stepBytes(model, ids.length)),
    warm: 1,
  })
  for (const { peer } of ours) await peer.dispose()
}

/** Whether the CPU multiplies bfloat16. */
export const multipliesBfloat16 = ({ engine }: Model) =>
  engine.info.cpuFeatures.some((feature) => feature.endsWith('bf16'))
