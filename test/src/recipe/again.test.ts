/** Figures made again from the cards in their files: the same numbers and the same picture, whatever they were drawn from. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as zslab from '../../../src/index.js'
import {
  definePolicy,
  adakv,
  figures,
  lowest,
  load,
  policyNamed,
  POLICIES,
  snapkv,
  zsmerge,
  type Figure,
  type Model,
  type Run,
} from '../../../src/index.js'
import { hashOfStudy } from '../../../src/experiments/hash.js'
import { madeAgain } from '../../../src/recipe/again.js'
import { kindOf } from '../../../src/recipe/calls.js'
import { cardInFile } from '../../../src/recipe/in-file.js'
import { programOf } from '../../../src/recipe/program.js'
import { recipeOf, type Recipe } from '../../../src/recipe/recipe.js'
import { ownFolder, toyPath, written } from '../model/files.js'

const policy = zsmerge({ budget: 16, recent: 6, residual: 2, decay: 0.9 })
const prompt = 'a b c d e f g h i j k l m n o p q r s t u v w x y z '.repeat(2)

describe('figures made again', function () {
  this.timeout(120_000)
  const folder = ownFolder()
  let model: Model
  before(async () => {
    model = await load(toyPath)
  })
  after(() => model.dispose())

  const place = (path: string) => join(folder, path)
  const hashOf = async (result: unknown) =>
    result instanceof zslab.Model
      ? result.file.sha256()
      : result instanceof zslab.Study
        ? hashOfStudy(result)
        : undefined

  /** Saved, read back and made again → both. */
  async function again(figure: Figure, name: string): Promise<[before: Figure, after: Figure, program: string]> {
    const path = await figure.save(join(folder, name), { size: 'column' })
    const card = await cardInFile(path)
    const { figure: made, changed } = await madeAgain(card, zslab, place, hashOf)
    assert.deepEqual(changed, [])
    return [figure.with({ size: 'column' }), made as Figure, programOf(card, (at) => at, 'again.svg')]
  }

  async function same(figure: Figure, name: string): Promise<string> {
    const [first, second, program] = await again(figure, name)
    assert.deepEqual(second.columns, first.columns)
    assert.equal(second.with({ size: 'column' }).svg, first.svg)
    return program
  }

  const run = async (more: object = {}, options: object = {}): Promise<Run> => {
    const session = model.session({ policy, trace: true, ...more })
    return session.generate(prompt, { maxTokens: 8, ignoreEos: true, progress: false, ...options })
  }

  it('of a run: its policy, prompt, seed and sampling', async () => {
    const sampled = await run({}, { temperature: 1.2, topK: 20, seed: 5 })
    const program = await same(figures.evictionMap(sampled, { layer: 1, by: 'slot' }), 'map.svg')
    assert.match(program, /^import \{ figures, load, zsmerge \} from 'zslab'\n/)
    assert.match(program, /const session = model\.session\(\{ policy: policy, storage: 'float16', trace: 'events' \}\)/)
    assert.match(program, /maxTokens: 8, temperature: 1\.2, topK: 20, topP: 1, minP: 0, seed: 5, ignoreEos: true/)
    assert.match(program, /const figure = figures\.evictionMap\(run, \{ layer: 1, by: 'slot' \}\)/)
  })

  for (const ending of ['svg', 'pdf', 'png', 'html', 'json'])
    it(`as .${ending}`, async () => void (await same(figures.survival(await run()), `survival.${ending}`)))

  it('of several runs under several policies, each wrapped as it was', async () => {
    const runs = [
      await run(),
      await run({ policy: adakv({ of: snapkv({ budget: 40 }) }) }),
      await run({ policy: snapkv({ budget: 40 }) }),
    ]
    const program = await same(figures.memory(runs, { labels: ['a', 'b', 'c'] }), 'memory.svg')
    assert.equal(program.split('await load(').length, 2)
    assert.match(program, /figures\.memory\(\[ ?run, run2, run3 ?\]/)
  })

  it('of what a run is compared with, and of its trace', async () => {
    const one = await run()
    const shadow = await one.shadow({ progress: false })
    const program = await same(figures.regretStrip(one, shadow), 'regret.svg')
    assert.equal(program.split('.generate(').length, 2)
    await same(figures.divergence(shadow), 'divergence.svg')
    await same(figures.difference(one.minus(await run({ policy: snapkv({ budget: 40 }) }))), 'difference.svg')
    await same(figures.needleAutopsy(one.trace.autopsy({ from: 3, to: 9 })), 'autopsy.svg')
    const path = await one.trace.save(join(folder, 'run.arrow'))
    await same(figures.evictionMap(await zslab.Trace.open(path)), 'opened.svg')
  })

  it('of heads whose vectors were kept', async () => {
    const one = await run({ trace: { level: 'vectors', layers: [1], queries: 32, scores: true } })
    await same(figures.attentionMap(one, { layer: 1, kvHead: 0 }), 'attention.svg')
    await same(figures.compensationMicroscope(one.compensation({ layer: 1, kvHead: 1, seed: 1 })), 'microscope.svg')
  })

  it('of a session that had several turns, and was asked for things in between', async () => {
    const session = model.session({ policy, trace: true })
    await session.generate(prompt, { maxTokens: 3, seed: 1, progress: false })
    await session.change({ alpha: 0.5 })
    await session.pin({ position: session.seqLen - 1, layers: [1] })
    await session.append(' what else?', { progress: false })
    await session.step(7)
    await session.evict({ position: session.seqLen - 1, kvHeads: [1] })
    const last = await session.generate(' and now?', { maxTokens: 4, seed: 2, progress: false })
    const program = await same(figures.evictionMap(last), 'turns.svg')
    for (const said of [/session\.change\(\{ alpha: 0\.5 \}\)/, /session\.pin\(\{ position: \d+, layers: \[ 1 \] \}\)/])
      assert.match(program, said)
    assert.match(program, /for \(const id of \[[ \d,]+\]\) await session\.step\(id\)/)
    await same(figures.survival(session.trace), 'session.svg')
  })

  it('of several figures in one', async () => {
    const one = await run()
    const both = figures.panel([figures.memory(one), figures.survival(one, { by: 'layer' })], { columns: 1 })
    const program = await same(both, 'panel.svg')
    assert.match(program, /const whole = figures\.panel\(\[ ?figure, figure2 ?\], \{ columns: 1 \}\)/)
    assert.equal(program.split('.generate(').length, 2)
  })

  it('of whatever task there is: each is a call that cards may have', () => {
    const record = { context: 'a', question: 'b', answers: ['c'] }
    const asked = written(folder, 'questions.jsonl', Buffer.from(JSON.stringify(record)))
    const told = written(folder, 'summaries.jsonl', Buffer.from(JSON.stringify({ text: 'a', summary: 'c' })))
    const surface = readFileSync(new URL('../../../src/index.ts', import.meta.url), 'utf8')
    const names = [...surface.matchAll(/export \{([^}]*)\} from '\.\/experiments\/tasks\//g)].flatMap(([, list]) =>
      list.split(',').flatMap((word) => (word.includes('type ') ? [] : [word.trim()])),
    )
    const made = names.map((name) => {
      const make = (zslab as unknown as Record<string, (options?: unknown) => object>)[name]
      const given = { ruler: 'vt', questions: { file: asked }, summaries: { file: told } }[name]
      return [name, recipeOf(make(given)).call] as const
    })
    assert.ok(made.length >= 10)
    for (const [name, call] of made) {
      assert.equal(call, name)
      assert.equal(kindOf(call)?.result, 'task', name)
    }
  })

  it('of a study: its task, policies, levels and store, of which nothing is done twice', async () => {
    const text = Array.from({ length: 8 }, (_, i) => ({ name: `text ${i}`, text: `${i} ${prompt}` }))
    const task = zslab.languageModelling({ text, tokens: 48, rows: 6 })
    const over = { budget: [20, 28], residual: { none: 0, two: 2 } }
    const asked = { model, task, policy: zsmerge, base: { recent: 6 }, over, split: 0.5, store: join(folder, 'store') }
    const study = zslab.sweep(asked)
    assert.equal(hashOfStudy(study), undefined)
    await study.run({ progress: false })
    const program = await same(figures.effects(study.exploring.effects({ metric: 'kl' })), 'effects.svg')
    assert.match(program, /const task = languageModelling\(/)
    assert.match(program, /policy: zsmerge,\s+base: \{ recent: 6 \},/)
    assert.match(program, /store: 'store'/)
    assert.match(
      program,
      /await study\.run\(\)\nconst exploring = study\.exploring\nconst effects = exploring\.effects\(/,
    )
    await same(figures.frontier(study.confirming), 'frontier.svg')
    const own = zslab.sweep({ ...asked, policy: (options: object) => zsmerge(options) })
    await own.plan({ progress: false })
    assert.deepEqual(figures.frontier(own.exploring).card.missing, ['a function of your own for policy'])
  })

  it('of heads, measured and judged, and of a prediction', async () => {
    const importance = await zslab.headImportance(model, [prompt, `b ${prompt}`], {
      by: ['entropy', 'sinkMass'],
      progress: false,
    })
    await same(figures.headMap(importance, { by: 'sinkMass' }), 'heads.svg')
    await same(figures.agreement(importance.agreement()), 'agreement.svg')
    await same(figures.headPassport(importance, { layer: 1, head: 0, run: await run() }), 'passport.svg')
    await same(figures.headBudgets(importance.suggestBudgets({ by: 'entropy', total: 20 })), 'budgets.svg')
    const judged = await importance.judge({ progress: false, randomOrders: 2 })
    await same(figures.judge(judged), 'judge.svg')
    const file = join(folder, 'judged.json')
    writeFileSync(file, JSON.stringify(judged))
    const read = await same(figures.judge(await zslab.Judgement.from(file)), 'judge-of-a-file.svg')
    assert.match(read, /const judgement = await Judgement\.from\('judged\.json'\)/)
    const cost = await zslab.measureCost(model, {
      policy: zsmerge({ budget: 16, recent: 4, residual: 2 }),
      lengths: [32],
      turns: 1,
      steps: 1,
      prompts: 0,
      progress: false,
    })
    const saved = await zslab.Cost.from(await cost.save(join(folder, 'cost.json')))
    assert.match(await same(figures.cost(saved), 'cost-of-a-file.svg'), /await Cost\.from\('cost\.json'\)/)
    const program = await same(
      figures.roofline(await zslab.roofline({ model: 'smollm2-135m', context: 4096 })),
      'roofline.svg',
    )
    assert.match(program, /roofline\(\{ model: 'smollm2-135m', context: 4096 \}\)/)
    await same(figures.roofline(await zslab.roofline({ model: toyPath, context: 512 })), 'roofline-of-a-file.svg')
  })

  it('part of a figure', async () => {
    const part = figures.tokenStrip(await run()).part({ position: [4, 20] })
    const program = await same(part, 'part.svg')
    assert.match(program, /const shown = figure\.part\(\{ position: \[ 4, 20 \] \}\)/)
  })

  it('every policy is called as it was made', () => {
    const modes = POLICIES.flatMap(({ name, presets, preset = 'mode', wraps }) =>
      Object.keys(presets).map((mode) => {
        const of = wraps === true ? { of: snapkv() } : {}
        return policyNamed(name, { ...of, ...(mode && { [preset]: mode }) })
      }),
    )
    for (const made of [...modes, zsmerge({ history: 'off', budget: 30 }), zsmerge({ mode: 'paper', alpha: 0.5 })]) {
      const library = zslab as unknown as Record<string, (options: object) => object>
      const called = ({ call, given: [options] }: Recipe): object => {
        const { of, ...own } = options as { of?: Recipe }
        return library[call]({ ...own, ...(of && { of: called(of) }) })
      }
      assert.equal(String(called(recipeOf(made))), String(made))
    }
  })

  it('says what cannot be made again, and refuses to', async () => {
    const own = definePolicy({
      name: 'lowest-first',
      scores: {},
      evict: ({ heads }) => heads.map(({ scores, excess }) => lowest(scores, excess)),
    })
    const plain = figures.survival((await run()).data())
    assert.deepEqual(plain.card.missing, ['plain data does not say how it was made'])
    const figure = figures.survival(await run({ policy: own({ budget: 20 }) }))
    assert.deepEqual(figure.card.missing, ['the policy lowest-first, whose functions are your own'])
    const card = await cardInFile(await figure.save(join(folder, 'own.svg')))
    assert.match(
      programOf(card, (at) => at, 'x.svg'),
      /^\/\/ not known: the policy lowest-first/,
    )
    await assert.rejects(madeAgain(card, zslab, place, hashOf), /cannot be made again: the policy lowest-first/)
  })
})
