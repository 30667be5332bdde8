/**
 * The whole model beside llama.cpp on the same files and OpenVINO GenAI: decoding, prompts, batches, what loading takes and what is resident, and
 * how far the default's logits are from those of float32 weights. Files: the default one (Q4_1) and the same model in F16 (made here).
 * Everybody takes turns; a ratio is of one turn. Medians, 10th-90th of a hundred; times of ours also as a share of the byte limit: what
 * must be read at least, by the fastest of several ways of only reading, measured in the same turns. One thread is timed by its CPU time.
 *   npm run bench model [ROW …] [turns=11] [threads=2] [weights=NAME] [lengths=128,1k,4k,8k]
 *   rows: decode prompt batch openvino logits memory load; default: all
 */
import { cpus, loadavg } from 'node:os'
import { decode } from './model/decode.js'
import { logits } from './model/logits.js'
import { openVino } from './model/others.js'
import { loading, memory } from './model/plain.js'
import { prompts } from './model/prompts.js'
import { batch } from './model/sessions.js'
import { Setting } from './model/setting.js'
import { asked } from './model/words.js'

const ROWS = { decode, prompt: prompts, batch, openvino: openVino, logits, memory, load: loading }

const { rows, options, wrong } = asked(process.argv.slice(2), Object.keys(ROWS))
if (wrong) {
  console.error(wrong)
  process.exit(2)
}
const setting = new Setting(options)
try {
  const { engine, weights } = await setting.model('default')
  const { threads, turns } = options
  const load = () => `load ${loadavg()[0].toFixed(1)}`
  console.log(
    `${cpus()[0].model.trim()}, ${threads === 1 ? 'one thread (CPU time)' : `${threads} threads`}, ${engine.info.isa} (${engine.info.cpuFeatures.join(' ')}), ${engine.info.library}`,
  )
  console.log(`weights ${weights}; ${turns} turns; medians (10th–90th of a hundred); ${load()}\n`)
  for (const name of rows) await ROWS[name as keyof typeof ROWS](setting)
  console.log(load())
} finally {
  await setting.dispose()
}
