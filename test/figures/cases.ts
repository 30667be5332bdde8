/** Every figure, on ordinary and on awkward data. */
import {
  agreement,
  attentionMap,
  compensationMicroscope,
  cost,
  difference,
  divergence,
  effects,
  errorSplit,
  evictionMap,
  failures,
  frontier,
  headBudgets,
  headMap,
  headPassport,
  interaction,
  judge,
  memory,
  mergeLineage,
  needleAutopsy,
  needleMap,
  pairedDifferences,
  panel,
  regretStrip,
  residualCard,
  roofline,
  survival,
  ternary,
  tokenStrip,
  type Figure,
} from '../../src/figures/index.js'
import { runMade, fullRun, nasty, lineageByHand } from './made-runs.js'
import { importanceMade } from './synthetic-heads.js'
import { agreementsMade, budgetsMade, judgementMade } from './synthetic-judgement.js'
import { costMade } from './synthetic-cost.js'
import { needlesOf, studyOf } from './made-study.js'
import { effectsMade, MANY_LEVELS, POLICIES, slopesMade, studiedMade, ternaryMade } from './synthetic-study.js'
import { ROOFLINES } from './synthetic-roofline.js'
import { autopsyMade, lossesMade } from './synthetic-losses.js'
import { compensationMade, differenceMade, inspectedMade, shadowMade } from './synthetic.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }

export const CASES: Record<string, () => Figure> = {
  'eviction map': () => evictionMap(runMade()),
  'eviction map, 20%': () => evictionMap(runMade({ budget: 600, recent: 300, residual: 6 }), { layer: 3, kvHead: 2 }),
  'eviction map, dropping': () => evictionMap(runMade({ residual: 0 })),
  'eviction map, many residual slots': () => evictionMap(runMade({ residual: 30 })),
  'eviction map, small': () => evictionMap(runMade(small)),
  'eviction map, nothing left': () => evictionMap(fullRun({ prompt: 40, steps: 5, layers: 2 })),
  'eviction map, no steps': () => evictionMap(runMade({ ...small, steps: 0 })),
  'eviction map, one token': () => evictionMap(fullRun({ prompt: 1, steps: 0, layers: 1, kvHeads: 1 })),
  'eviction map by slot': () => evictionMap(runMade(), { by: 'slot' }),
  'eviction map by slot, full cache': () => evictionMap(fullRun({ prompt: 40, steps: 5 }), { by: 'slot' }),
  'token strip': () => tokenStrip(runMade()),
  'token strip of a head': () => tokenStrip(runMade(), { layer: 15, kvHead: 1 }),
  'token strip, many residual slots': () => tokenStrip(runMade({ residual: 30 }), { layer: 15 }),
  'token strip, dropping': () => tokenStrip(runMade({ residual: 0 }), { layer: 15 }),
  'token strip, small': () => tokenStrip(runMade(small), { layer: 1 }),
  'token strip, nasty words': () => tokenStrip(nasty(runMade({ ...small, prompt: 300, trace: false })), { layer: 1 }),
  'token strip, part': () => tokenStrip(runMade(), { from: 2000, to: 2100 }),
  'token strip, one token': () => tokenStrip(fullRun({ prompt: 1, steps: 0, layers: 1, kvHeads: 1 })),
  survival: () => survival(runMade()),
  'survival of a layer': () => survival(runMade({ budget: 600, recent: 40, residual: 6 }), { layer: 3 }),
  'survival by layer': () => survival(runMade({ budget: 600, recent: 40, residual: 6 }), { by: 'layer' }),
  'survival, dropping': () => survival(runMade({ ...small, residual: 0 })),
  'survival of several runs': () =>
    survival([0.2, 0.1, 0.05].map((ratio) => runMade({ budget: 3000 * ratio, recent: 100, residual: 3 }))),
  'survival of several runs by layer': () => survival([runMade(small), runMade()], { by: 'layer' }),
  'survival, full while decoding': () => survival(runMade({ ...small, prompt: 20, firstTokens: true })),
  'survival, nothing left': () => survival(fullRun({ prompt: 40, steps: 5, layers: 2 })),
  'survival, no steps': () => survival(runMade({ ...small, steps: 0 })),
  'survival, one token': () => survival(fullRun({ prompt: 1, steps: 0, layers: 1, kvHeads: 1 })),
  'merge lineage': () => mergeLineage(runMade()),
  'merge lineage, many slots': () => mergeLineage(runMade({ residual: 30 }), { layer: 3, kvHead: 2 }),
  'merge lineage, small': () => mergeLineage(runMade(small)),
  'merge lineage, first tokens': () => mergeLineage(runMade({ ...small, prompt: 20, firstTokens: true })),
  'merge lineage, nasty words': () => mergeLineage(nasty(runMade({ ...small, prompt: 300 })), { layer: 1 }),
  'merge lineage, no steps': () => mergeLineage(runMade({ ...small, steps: 0, residual: 1 })),
  'residual card': () => residualCard(runMade(), { slot: 2 }),
  'residual card, one of many': () => residualCard(runMade({ residual: 30 }), { layer: 3, kvHead: 2, slot: 29 }),
  'residual card, first tokens': () => residualCard(runMade({ ...small, prompt: 20, firstTokens: true })),
  'residual card, nasty words': () => residualCard(nasty(runMade({ ...small, prompt: 300 })), { layer: 1 }),
  'residual card, no steps': () => residualCard(runMade({ ...small, steps: 0, residual: 1 })),
  'residual card, by hand': () => residualCard({ ...lineageByHand(), alpha: 0.5 }, { slot: 1 }),
  divergence: () => divergence([0.2, 0.1, 0.05].map((ratio) => shadowMade(ratio))),
  'divergence of one run': () => divergence(shadowMade(0.1, 24)),
  'divergence of none': () => divergence([shadowMade(1, 64), shadowMade(0.2, 64)], { labels: ['full', '20%'] }),
  'divergence, one token': () => divergence(shadowMade(1, 1)),
  'attention map': () => attentionMap(inspectedMade({})),
  'attention map of a query head, dropping': () => attentionMap(inspectedMade({ ...small, residual: 0 }), { head: 1 }),
  'attention map, nothing gone': () => attentionMap(inspectedMade({ ...small, budget: 100 }), { to: 70 }),
  'attention map, one query': () => attentionMap(inspectedMade({ ...small, steps: 1 })),
  'compensation microscope': () => compensationMicroscope(compensationMade({ prompt: 400, budget: 80, recent: 40 })),
  'compensation microscope, small': () => compensationMicroscope(compensationMade(small, 0.35)),
  'compensation microscope, one step': () => compensationMicroscope(compensationMade({ ...small, steps: 1 }, 0)),
  difference: () => difference(differenceMade(runMade(), runMade({ recent: 60, budget: 240 }))),
  'difference of like runs': () => difference(differenceMade(runMade(), runMade({ residual: 6 }), 150)),
  'difference, small': () =>
    difference(differenceMade(runMade(small), runMade({ ...small, recent: 4 }), 0), { layer: 1 }),
  'difference, one head, another policy': () =>
    difference(
      differenceMade(
        runMade({ ...small, layers: 1, kvHeads: 1 }),
        runMade({
          ...small,
          layers: 1,
          kvHeads: 1,
          residual: 0,
          policyName: 'a name as long as nobody needs, for a policy',
        }),
      ),
    ),
  'difference, nasty words': () =>
    difference(
      differenceMade(nasty(runMade({ ...small, prompt: 300 })), nasty(runMade({ ...small, prompt: 300, recent: 4 }))),
    ),
  'difference of equal runs': () => difference(differenceMade(runMade(small), runMade(small), null)),
  'difference, one token': () => {
    const one = fullRun({ prompt: 1, steps: 0, layers: 1, kvHeads: 1 })
    return difference(differenceMade(one, one))
  },
  'error split': () => errorSplit(lossesMade(runMade())),
  'error split, dropping': () => errorSplit(lossesMade(runMade({ ...small, residual: 0 }))),
  'error split, small': () => errorSplit(lossesMade(runMade({ ...small, steps: 1, layers: 1 }))),
  'regret strip': () => regretStrip(runMade(), lossesMade(runMade())),
  'regret strip of a head': () =>
    regretStrip(runMade(small), lossesMade(runMade(small)), { layer: 1, kvHead: 0, measure: 'change' }),
  'regret strip, dropping': () =>
    regretStrip(runMade({ residual: 0 }), lossesMade(runMade({ residual: 0 })), { layer: 3, top: 3 }),
  'regret strip, nasty words': () => {
    const data = nasty(runMade({ ...small, prompt: 300 }))
    return regretStrip(data, lossesMade(data))
  },
  'regret strip, nothing lost': () => {
    const data = fullRun({ prompt: 40, steps: 5, layers: 2 })
    return regretStrip(data, lossesMade(data))
  },
  'needle autopsy': () => needleAutopsy(autopsyMade(runMade(), { from: 812, to: 826 })),
  'needle autopsy, many layers': () =>
    needleAutopsy(autopsyMade({ ...runMade(), layers: 32, kvHeads: 32 }, { from: 100, to: 112 })),
  'needle autopsy of a whole text': () => needleAutopsy(autopsyMade(runMade(), { from: 0, to: 3200 })),
  'needle autopsy, nasty words': () => needleAutopsy(autopsyMade(nasty(runMade(small)), { from: 0, to: 30 })),
  'needle autopsy, one token of one head': () =>
    needleAutopsy(autopsyMade(fullRun({ prompt: 1, steps: 0, layers: 1, kvHeads: 1 }), { from: 0, to: 1, all: 0 })),
  'needle autopsy, nowhere': () => needleAutopsy(autopsyMade(runMade(small), { from: 8, to: 11, all: 2 })),
  'head map': () => headMap(importanceMade()),
  'head map of kv heads': () => headMap(importanceMade({ layers: 80, heads: 64, kvHeads: 8 }), { by: 'kvzip' }),
  'head map, many heads': () => headMap(importanceMade({ layers: 32, heads: 32, kvHeads: 8 }), { by: 'entropy' }),
  'head map, some heads': () =>
    headMap(importanceMade({ layers: 6, heads: 4, kvHeads: 2, share: 0.5 }), { by: 'previous' }),
  'head map, one head': () => headMap(importanceMade({ layers: 1, heads: 1, kvHeads: 1, names: ['entropy'] })),
  'head passport': () => headPassport(importanceMade(), { layer: 3, head: 4, run: runMade() }),
  'head passport, dropping': () =>
    headPassport(importanceMade({ layers: 2, heads: 6 }), {
      layer: 1,
      head: 0,
      run: runMade({ ...small, residual: 0 }),
    }),
  'head passport, one head of a few': () =>
    headPassport(importanceMade({ share: 0.1, names: ['previous'] }), { layer: 0, head: 0 }),
  'head passport, one head of one': () =>
    headPassport(importanceMade({ layers: 1, heads: 1, kvHeads: 1, names: ['distance', 'kvzip'] }), {
      layer: 0,
      head: 0,
    }),
  agreement: () => agreement(agreementsMade()),
  'agreement of top quarters, two measures': () =>
    agreement(agreementsMade({ measures: 2, texts: 2 }), { statistic: 'top' }),
  'agreement of one head': () => agreement(agreementsMade({ measures: 3, heads: 1 }), { statistic: 'kendall' }),
  'head budgets': () => headBudgets(budgetsMade()),
  'head budgets, shares of many': () => headBudgets(budgetsMade({ layers: 80, kvHeads: 8, total: 0.1 })),
  'head budgets, all alike, one head': () =>
    headBudgets(budgetsMade({ layers: 1, kvHeads: 1, total: 16, equal: true })),
  judge: () => judge(judgementMade()),
  'judge of compressed heads, chosen measures': () =>
    judge(judgementMade({ compress: true, points: 4 }), { by: ['entropy', 'ablation', 'echo'] }),
  'judge of one measure, too few texts': () => judge(judgementMade({ measures: 1, texts: 2, points: 1 })),
  'judge, no damage': () => judge(judgementMade({ measures: 2, damage: 0 })),
  memory: () =>
    memory([
      fullRun(),
      runMade({ budget: 600, recent: 300, residual: 6 }),
      runMade(),
      runMade({ budget: 150, recent: 75 }),
    ]),
  'memory of one run': () => memory(runMade()),
  effects: () => effects(effectsMade()),
  'effects, too few clusters': () => effects(effectsMade({ texts: 4 })),
  'effects, slopes': () => effects(slopesMade()),
  'effects, slopes of few runs': () => effects(slopesMade({ runs: 12, texts: 5 })),
  ternary: () => ternary(ternaryMade()),
  'ternary, many': () => ternary(ternaryMade({ steps: 20 })),
  'ternary of three': () => ternary(ternaryMade({ steps: 3, texts: 4 })),
  'effects of one level': () => effects(effectsMade({ dimensions: { budget: [0.1] } })),
  'effects, many': () => effects(effectsMade({ texts: 7, dimensions: MANY_LEVELS })),
  frontier: () => frontier(studiedMade({ dimensions: POLICIES })),
  'frontier of one setting': () => frontier(studiedMade({ texts: 3, dimensions: { budget: [0.1] } })),
  'frontier by a dimension': () => frontier(studiedMade(), { by: 'alpha' }),
  'frontier, many lines': () => frontier(studiedMade({ texts: 7, dimensions: MANY_LEVELS }), { by: 'alpha' }),
  cost: () => cost(costMade()),
  'cost of one length, few turns, no prompts': () => cost(costMade({ lengths: [1024], turns: 3, prompts: 0 })),
  'cost of a policy in one piece, much noise': () =>
    cost(
      costMade({
        parts: [['policy', 2, 1]],
        name: 'snapkv',
        noise: 6,
        lengths: [128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768],
      }),
    ),
  'cost that never pays': () => cost(costMade({ parts: [['policy', 30, 1]], lengths: [512, 1024] })),
  interaction: () => interaction(studyOf({ failed: 0.01 }), ['alpha', 'recent']),
  'interaction of many levels': () =>
    interaction(studyOf({ texts: 7, dimensions: MANY_LEVELS }), ['alpha', 'a dimension of a long name']),
  'interaction, three lines, too few clusters': () => interaction(studyOf({ texts: 4 }), ['recent', 'budget']),
  'interaction, nothing counts': () =>
    interaction(studyOf({ texts: 4, failed: 0.6, unchanged: 0.4, dimensions: { budget: [0.1, 0.2], alpha: [0, 1] } }), [
      'budget',
      'alpha',
    ]),
  failures: () => failures(studyOf({ texts: 12, failed: 0.1, unchanged: 0.08 })),
  'failures of needles': () => failures(needlesOf()),
  'failures, none': () => failures(studyOf({ texts: 2, dimensions: { alpha: [0, 1] } })),
  'failures of many settings': () =>
    failures(
      studyOf({ texts: 3, failed: 0.2, unchanged: 0.1, dimensions: { ...MANY_LEVELS, budget: [0.1, 0.2, 0.4] } }),
    ),
  'needle map': () => needleMap(needlesOf(), { by: 'policy', at: { budget: 0.1 } }),
  'needle map over budgets': () =>
    needleMap(
      needlesOf({
        dimensions: { budget: [0.05, 0.1, 0.2, 0.4, 0.8] },
        lengths: [256, 512, 1024, 1536, 2048, 3000, 4096],
      }),
    ),
  'needle map, one setting, one place': () =>
    needleMap(needlesOf({ dimensions: { budget: [0.1] }, lengths: [512], depths: [0.5], seeds: 1 })),
  'needle map, beyond the model': () => needleMap(needlesOf({ beyond: 0 })),
  'needle map of bytes': () => needleMap(needlesOf(), { metric: 'bytes' }),
  'paired differences': () => pairedDifferences(studyOf(), { alpha: 0.5 }, { alpha: 1 }),
  'paired differences, several prompts of a cluster': () =>
    pairedDifferences(
      studyOf({ texts: 36, together: 4, failed: 0.02, unchanged: 0.02 }),
      { budget: 0.2, alpha: 0 },
      { budget: 0.05, alpha: 1 },
    ),
  'paired differences, many clusters': () =>
    pairedDifferences(studyOf({ texts: 200, dimensions: { alpha: [0, 1] } }), { alpha: 1 }, { alpha: 0 }),
  'paired differences of one text': () =>
    pairedDifferences(studyOf({ texts: 1, dimensions: { alpha: [0, 1] } }), { alpha: 0 }, { alpha: 1 }),
  'paired differences, none': () =>
    pairedDifferences(
      studyOf({ texts: 8, dimensions: { budget: [0.1], alpha: [0, 1] } }),
      { alpha: 0 },
      { alpha: 1 },
      { metric: 'bytes' },
    ),
  roofline: () => roofline(ROOFLINES.small),
  'roofline of a long context': () => roofline(ROOFLINES.long),
  'roofline of several hosts': () => roofline(ROOFLINES.several),
  'roofline, no memory': () => roofline(ROOFLINES.nowhere),
  'roofline, far out': () => roofline(ROOFLINES.far),
  'memory by layer': () => memory([runMade({ budget: 600, recent: 300, residual: 6 }), runMade()], { by: 'layer' }),
  panel: () => panel([survival(runMade()), headMap(importanceMade())]),
  'panel of like figures': () =>
    panel([evictionMap(runMade(small), { by: 'slot' }), evictionMap(runMade(small), { by: 'slot', layer: 0 })]),
  'panel of one, nasty words': () => panel([tokenStrip(nasty(runMade(small)), { layer: 1 })], { columns: 1 }),
  'memory, long labels': () =>
    memory([runMade(small), runMade(small)], {
      labels: ['a name as long as nobody needs it', 'another one, longer yet, for the same run'],
    }),
}

/** One of each figure, to be looked at: small data where it draws a mark for each token or head. */
export const LOOKED_AT = [
  'eviction map',
  'eviction map by slot',
  'token strip, small',
  'survival',
  'survival by layer',
  'merge lineage, small',
  'residual card, by hand',
  'divergence',
  'attention map',
  'compensation microscope',
  'difference, small',
  'error split',
  'regret strip of a head',
  'needle autopsy',
  'head passport, dropping',
  'memory',
  'judge',
  'agreement',
  'head budgets',
  'head map',
  'cost',
  'effects',
  'effects, slopes',
  'failures',
  'frontier',
  'interaction',
  'needle map',
  'paired differences',
  'ternary',
  'panel',
  'roofline',
]
