/** judge(): the heads that a measure calls least important are taken, ever more of them, and what predictions lose is measured: whose order does least? */
import { ZslabError } from '../errors.js'
import { Breaks } from '../inspect/breaks.js'
import { timeLeft, withBar } from '../long-work.js'
import type { Call, Progress } from '../native/call.js'
import { randomOrder } from '../sampling.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import { leastFirst, setOf, type Damage, type HeadSet, type Taking } from './damage.js'
import { judgedOf, meanDamage, RANDOM } from './judged.js'
import { judgeAsked, type Asked, type JudgeOptions, type Measured } from './judge-options.js'
import { Judgement } from './judgement.js'
import { aboutText, KeptValues } from './store.js'

/** Damage of every set in one text. */
interface Text {
  ids: Int32Array
  damage: Map<string, Damage>
  missing: HeadSet[]
  kept: KeptValues | undefined
}

interface Order {
  name: string
  order: Int32Array
  /** One for each point. */
  sets: HeadSet[]
}

/** See Importance.judge(). */
export async function judge(measured: Measured, options: JudgeOptions = {}): Promise<Judgement> {
  const asked = judgeAsked(measured, options)
  const { model, taking, points, count, seeds } = asked
  const ordered = (name: string, order: Int32Array): Order => {
    const sets = points.map(({ taken }) => setOf(order.subarray(0, taken), count))
    return { name, order, sets }
  }
  const measures = asked.measures.map(({ name, values }) => ordered(name, leastFirst(values)))
  const random = seeds.map((seed) => ordered(RANDOM, randomOrder(count, seed)))
  const sets = new Map([...measures, ...random].flatMap((one) => one.sets.map((set) => [set.key, set])))

  return withBar(
    'judging,',
    options,
    async (call) => {
      await model.file.sha256({ signal: call.signal })
      const card = engineCard(model)
      const texts = asked.texts.map((ids) => textOf(ids, Array.from(sets.values()), asked, card))
      await carryOut(texts, taking, measures.length, call)
      return concluded(measures, random, texts, asked, card, call)
    },
    taking.unit,
  )
}

function textOf(ids: Int32Array, sets: readonly HeadSet[], { store, taking, count }: Asked, card: EngineCard): Text {
  const about = { ...taking.about, ...aboutText(card, ids), count }
  const kept =
    store === undefined
      ? undefined
      : new KeptValues(store, 'judge', about, () => 2, 'damage is not a KL and a loss each')
  const damage = new Map<string, Damage>()
  for (const { key } of sets) {
    const [kl, loss] = kept?.values[key] ?? []
    if (typeof kl === 'number' && typeof loss === 'number') damage.set(key, { kl, loss })
  }
  return { ids, damage, missing: sets.filter(({ key }) => !damage.has(key)), kept }
}

async function carryOut(texts: readonly Text[], taking: Taking, measures: number, call: Call): Promise<void> {
  const work = texts.map(({ ids, missing }) => (missing.length ? taking.work(ids, missing) : 0))
  const total = work.reduce((sum, each) => sum + each, 0)
  const started = performance.now()
  let before = 0
  const report = (done: number) => {
    const doing = `judging ${measures} measure${measures === 1 ? '' : 's'}${timeLeft(started, done, total)},`
    return call.progress?.({ done, total, doing })
  }
  for (const [i, { ids, damage, missing, kept }] of texts.entries()) {
    const put = (set: number, found: Damage) => {
      const { key } = missing[set]
      damage.set(key, found)
      if (kept) kept.values[key] = [found.kl, found.loss]
      kept?.tick()
    }
    const progress = ({ done }: Progress) => report(before + Math.min(done, work[i]))
    try {
      if (missing.length) await taking.run(ids, missing, put, { signal: call.signal, progress })
    } finally {
      if (missing.length) await kept?.save()
    }
    before += work[i]
  }
  await report(total)
}

async function concluded(
  measures: readonly Order[],
  random: readonly Order[],
  texts: readonly Text[],
  asked: Asked,
  card: EngineCard,
  { signal }: Call,
): Promise<Judgement> {
  const { model, points, count, seeds, taking } = asked
  const breaks = new Breaks(signal)
  const places = { points, perLayer: count / model.description.layers, seed: seeds[0] }
  // [texts][points]
  const damageOf = ({ sets }: Order) => texts.map(({ damage }) => sets.map(({ key }) => damage.get(key)!))
  for (const [text, { damage }] of texts.entries())
    for (const { kl, loss } of damage.values())
      if (!Number.isFinite(kl) || !Number.isFinite(loss))
        throw new ZslabError(
          'internal',
          `predictions of text ${text} are no numbers without some heads: check the model`,
        )
  const judged = []
  for (const one of measures) {
    judged.push(judgedOf(one.name, one.order, damageOf(one), places))
    await breaks.take()
  }
  const baseline = judgedOf(RANDOM, new Int32Array(), meanDamage(random.map(damageOf)), places)
  return new Judgement(judged, baseline, {
    card,
    take: asked.take,
    budget: asked.budget,
    policy: asked.policy,
    heads: taking.heads,
    count,
    texts: asked.texts.map((ids) => ({ tokens: ids.length, ids: Array.from(ids) })),
    sameTexts: asked.sameTexts,
    rows: asked.rows,
    seeds,
  })
}
