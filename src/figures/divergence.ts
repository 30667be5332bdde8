/** Divergence: how far every token's distribution was from the full cache's, and where the likeliest token changed. */
import { invalid } from '../expect.js'
import type { ShadowData } from './data.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import type { Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { labelsOf, shortModel } from './words.js'

export interface DivergenceOptions extends StyleOptions {
  /** One per run; default: the shadow's own label, or its policy's name. */
  labels?: string[]
}

interface Compared {
  label: string
  shadow: ShadowData
  mean: number
  median: number
  flips: number
}

/**
 * KL(full ‖ policy) per token, nats, of one run or several (from run.shadow()), one panel each on common axes; tokens whose
 * likeliest choice changed are marked. Errors: 'invalid' for something else than shadows, no rows, a KL that is not a number.
 */
export function divergence(shadows: ShadowData | readonly ShadowData[], options: DivergenceOptions = {}): Figure {
  const style = styleOptions('divergence', options, ['labels'])
  const all = [shadows].flat() as ShadowData[]
  if (!all.length) throw invalid('shadows', 'at least one result of run.shadow()', all)
  all.forEach(checkShadow)
  const labels = labelsOf(
    options.labels,
    all.map((shadow) => shadow.label ?? shadow.policyName),
  )
  const compared = all.map((shadow, i) => ({ ...statistics(shadow), label: labels[i] }))
  const words = wordsOf(compared)
  const plot = (chosen: Style): Plot => ({ ...words, ...picture(compared, chosen) })
  return new Figure(
    {
      call: ['divergence', shadows, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(compared),
      plot,
    },
    style,
  )
}

function checkShadow(shadow: ShadowData): void {
  if (typeof shadow !== 'object' || shadow === null || !('kl' in shadow) || !('flips' in shadow))
    throw invalid('shadows', 'results of run.shadow()', shadow, 'await it: divergence(await run.shadow())')
  if (!shadow.tokens.length) throw invalid('shadows', 'a shadow of at least one token', 0)
  const bad = shadow.kl.findIndex((kl) => !Number.isFinite(kl))
  if (bad >= 0) throw invalid(`kl[${bad}]`, 'a finite number of nats', shadow.kl[bad])
}

function statistics(shadow: ShadowData): Omit<Compared, 'label'> {
  const sorted = Float64Array.from(shadow.kl).sort()
  const n = sorted.length
  const median = n % 2 ? sorted[n >> 1] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2
  return {
    shadow,
    mean: sorted.reduce((sum, kl) => sum + kl, 0) / n,
    median,
    flips: shadow.flips.filter(Boolean).length,
  }
}

function columnsOf(compared: Compared[]) {
  const each = <T>(value: (one: Compared, i: number) => T) =>
    compared.flatMap((one) => one.shadow.tokens.map((_, i) => value(one, i)))
  return {
    run: each((one) => one.label),
    generated: each((_, i) => i + 1),
    position: each((one, i) => one.shadow.tokens[i].position),
    token: each((one, i) => one.shadow.tokens[i].text),
    kl: each((one, i) => one.shadow.kl[i]),
    flip: each((one, i) => one.shadow.flips[i]),
    top1: each((one, i) => one.shadow.top1[i]),
    fullTop1: each((one, i) => one.shadow.fullTop1[i]),
  }
}

const flipWords = ({ flips, shadow }: Compared) =>
  `${plainNumber(flips)} of ${counted(shadow.tokens.length, 'token')} (${percent(flips / shadow.tokens.length)})`

function wordsOf(compared: Compared[]) {
  const [first] = compared
  const several = compared.length > 1
  const means = compared.map((one) => one.mean)
  const [least, most] = [Math.min(...means), Math.max(...means)].map(shortNumber)
  const title = several
    ? `Mean KL from the full cache: ${least === most ? least : `${least} to ${most}`} nats per token`
    : `${first.label}: mean KL from the full cache ${least} nats per token`
  let worst = { one: first, at: 0 }
  for (const one of compared)
    one.shadow.kl.forEach((kl, at) => {
      if (kl > worst.one.shadow.kl[worst.at]) worst = { one, at }
    })
  const token = worst.one.shadow.tokens[worst.at]
  const largest = worst.one.shadow.kl[worst.at]
  const word = visible(token.text).trim() || '␣'
  const where = `“${word}”, generated token ${worst.at + 1}${several ? ` (${worst.one.label})` : ''}`
  const flips = several
    ? `: ${compared.map((one) => `${one.label}, ${flipWords(one)}`).join('; ')}`
    : ` at ${flipWords(first)}`
  return {
    title,
    detail:
      `The likeliest next token changes${flips}. ` +
      (several ? '' : `Half of the tokens are at or below ${shortNumber(first.median)} nats. `) +
      (largest > 0
        ? `The largest divergence is ${shortNumber(largest)} nats, at ${where}.`
        : 'No token diverges at all.'),
  }
}

/** Below this a divergence is rounding (weights in bfloat16), and a logarithmic axis has to end somewhere. */
const FLOOR = 1e-6

function picture(compared: Compared[], style: Style) {
  const kls = compared.flatMap(({ shadow }) => Array.from(shadow.kl))
  const positive = kls.filter((kl) => kl > FLOOR)
  const low = 10 ** Math.floor(Math.log10(positive.length ? Math.min(...positive) : 1e-4) - 0.05)
  const high = Math.max(low * 100, 10 ** Math.ceil(Math.log10(positive.length ? Math.max(...positive) : 1) + 0.02))
  const longest = Math.max(...compared.map(({ shadow }) => shadow.tokens.length))
  const below = kls.filter((kl) => kl < low).length
  const diameter = style.text * (longest > 400 ? 0.28 : longest > 100 ? 0.36 : 0.5)
  const panels = compared.map((one, i): Panel => {
    const { shadow } = one
    const points = (flip: boolean) => {
      const rows = shadow.tokens.map((_, at) => at).filter((at) => shadow.flips[at] === flip)
      return {
        kind: 'points' as const,
        x: rows.map((at) => at + 1),
        y: rows.map((at) => Math.max(low, shadow.kl[at])),
        hover: rows.map((at) => hoverOf(shadow, at)),
      }
    }
    const mean = Math.max(low, one.mean)
    return {
      title:
        compared.length > 1
          ? `${one.label}: mean ${shortNumber(one.mean)} nats, ${plainNumber(one.flips)} changed`
          : undefined,
      share: 1,
      x: {
        label: i === compared.length - 1 ? 'generated token, number' : undefined,
        ticks: i === compared.length - 1 ? 'numbers' : [],
        range: [0.2, longest + 0.8],
        whole: true,
      },
      y: { label: 'KL, nats', range: [low, high], scale: 'log', grid: true },
      marks: [
        {
          kind: 'line',
          name: 'mean',
          color: 'ink',
          dash: true,
          width: style.text / 10,
          x: [0.2, longest + 0.8],
          y: [mean, mean],
          hover: [`mean ${shortNumber(one.mean)} nats`, `mean ${shortNumber(one.mean)} nats`],
        },
        { ...points(false), name: 'same likeliest token', color: 'calm', shape: 'dot', diameter },
        {
          ...points(true),
          name: 'likeliest token changed',
          color: 'flip',
          shape: 'triangle',
          diameter: diameter * 1.3,
        },
      ],
    }
  })
  const height = style.size === 'column' ? 96 : 128
  return {
    subject: `${shortModel(compared[0].shadow.model)} · the same ${counted(longest, 'token')} read under the policy and under the full cache`,
    notes: below
      ? [`${counted(below, 'token')} below ${shortNumber(low)} nats ${below === 1 ? 'is' : 'are'} drawn at the axis.`]
      : [],
    legend: [
      { label: 'same likeliest token', swatch: 'dot' as const, color: 'calm' as const },
      { label: 'likeliest token changed', swatch: 'triangle' as const, color: 'flip' as const },
      { label: 'mean', swatch: 'dash' as const, color: 'ink' as const },
    ],
    arrangement: 'rows' as const,
    panels,
    body: compared.length === 1 ? 230 : compared.length * height,
  }
}

function hoverOf(shadow: ShadowData, at: number): string {
  const token = shadow.tokens[at]
  const changed = shadow.flips[at]
    ? `\nlikeliest: id ${shadow.top1[at]}, under the full cache id ${shadow.fullTop1[at]}`
    : ''
  return `“${visible(token.text)}” at ${token.position}\n${shortNumber(shadow.kl[at])} nats${changed}`
}
