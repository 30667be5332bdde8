/** The least of nested choices (budgets, say) whose expected loss on a text to come stays under a level: conformal risk control. */
import { ZslabError } from '../errors.js'
import { invalid, number, options as checkedOptions } from '../expect.js'

export interface RiskOptions {
  /** Most expected loss, above 0 and below `bound`. */
  level: number
  /** Losses above it count as it, below 0 as 0: a guarantee needs a bound. */
  bound: number
}

export interface CertifiedChoice {
  /** Place of the choice; null where not even the last, largest one holds the level: see `reason`. */
  choice: number | null
  /** Mean loss of each choice, made monotone: what is compared with the level is (n·risk + bound)/(n + 1). */
  risks: Float64Array
  /** The latter, of each choice. */
  corrected: Float64Array
  level: number
  bound: number
  texts: number
  reason?: string
}

const ROUNDING = 1e-12

/** Texts without which no loss, not even 0, could be certified. */
export const textsNeeded = ({ level, bound }: RiskOptions): number =>
  Math.max(1, Math.ceil((bound / level) * (1 - ROUNDING) - 1))

/** Whether a corrected risk is at most the level, but for the last digits: exactly as many texts as are needed do. */
export const holds = (risk: number, level: number): boolean => risk <= level * (1 + 2 * ROUNDING)

/** Errors: 'invalid' naming the option, and where so few texts could certify nothing, with how many are needed. */
export function checkTexts(texts: number, options: RiskOptions): void {
  const bound = number('bound', options.bound, Number.MIN_VALUE, Number.MAX_VALUE)
  const level = number('level', options.level, 0, bound)
  if (level === 0 || level === bound)
    throw invalid('level', `above 0 and below the bound of a loss, ${bound}`, options.level)
  const needed = textsNeeded({ level, bound })
  if (texts < needed)
    throw new ZslabError(
      'invalid',
      `${texts} text${texts === 1 ? '' : 's'} cannot certify a mean loss of at most ${level}: with losses up to ${bound} at least ${needed} are needed (bound / level − 1), even where nothing is lost`,
    )
}

/**
 * `losses` [texts][choices], choices in ascending order (each keeps at least what the ones before it keep). Losses are clipped to [0, bound]
 * and made monotone: of a choice and the larger ones the worst counts, so that a chosen one is no lucky dip. The choice is the first with
 * (n·mean + bound)/(n + 1) ≤ level; then the expected loss on one more text drawn like these is at most `level` (Angelopoulos et al. 2022,
 * arXiv 2208.02814, theorem 1): in the mean over such sets of texts, not for this one. Errors: 'invalid' where texts are too few, with how many
 * are needed, or a loss is no number.
 */
export function certifiedChoice(losses: readonly ArrayLike<number>[], options: RiskOptions): CertifiedChoice {
  const { level, bound } = checkedOptions('certifiedChoice', options, ['level', 'bound']) as unknown as RiskOptions
  if (!Array.isArray(losses)) throw invalid('losses', 'an array [texts][choices]', losses)
  const texts = losses.length
  checkTexts(texts, { level, bound })
  const choices = Object(losses[0]) === losses[0] ? losses[0].length : 0
  const risks = new Float64Array(choices)
  losses.forEach((row, text) => {
    if (!(choices > 0 && row?.length === choices))
      throw invalid(`losses[${text}]`, `an array of ${choices || 'the'} losses, one for each choice`, row)
    let worst = 0
    for (let i = choices - 1; i >= 0; i--) {
      if (typeof row[i] !== 'number' || Number.isNaN(row[i])) throw invalid(`losses[${text}][${i}]`, 'a number', row[i])
      worst = Math.max(worst, Math.min(bound, row[i]))
      risks[i] += worst / texts
    }
  })
  const corrected = risks.map((risk) => (texts * risk + bound) / (texts + 1))
  const found = corrected.findIndex((risk) => holds(risk, level))
  const made = { risks, corrected, level, bound, texts }
  if (found >= 0) return { choice: found, ...made }
  const reason = `even the largest choice has a mean loss of ${risks[choices - 1].toPrecision(3)} over ${texts} texts, ${corrected[choices - 1].toPrecision(3)} with the correction for so few, above ${level}: offer larger ones, or more texts`
  return { choice: null, ...made, reason }
}
