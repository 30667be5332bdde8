/** What a design comes to: the settings that a study tries, and where each dimension's levels are. */
import { invalid } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { combinationsOf, plainOf, type Design, type PlainDesign, type Dimensions, type Levels } from './designs.js'
import { levelsIn, type Varied } from './dimensions.js'
import { latinHypercube } from './latin.js'
import { slopeColumns } from './slopes.js'
import { fits } from './ternary.js'

export interface Tried {
  design: Design
  /** Policies among them where there are several. */
  varied: Varied
  /** The first is what others are compared with. */
  settings: readonly Levels[]
}

/** Errors: 'invalid' for dimensions that the design cannot have. */
export function triedOf(varied: Varied, design: Design): Tried {
  return { ...plainTried(varied, plainOf(design)), design }
}

function plainTried(varied: Varied, design: PlainDesign): Tried {
  if (typeof design === 'object' && 'latinHypercube' in design) return spread(varied, design)
  if (typeof design === 'object' && 'ternary' in design) {
    const all = combinationsOf(levelsIn(varied), 'grid')
    return { design, varied, settings: all.filter((levels) => fits(levels, design.ternary)) }
  }
  const range = Object.keys(varied).find((name) => varied[name].range)
  if (range !== undefined)
    throw invalid(
      `over.${range}`,
      `levels for the design ${typeof design === 'string' ? shown(design) : Object.keys(design)[0]}`,
      varied[range].range,
      'ranges are for design: { latinHypercube: { runs: 32 } }',
    )
  return { design, varied, settings: combinationsOf(levelsIn(varied), design) }
}

function spread(varied: Varied, design: Extract<PlainDesign, { latinHypercube: unknown }>): Tried {
  const { runs, seed = 1 } = design.latinHypercube
  const settings = latinHypercube(varied, { runs, seed })
  const unknowns = 1 + slopeColumns(varied).length
  if (runs < unknowns)
    throw new ZslabError(
      'invalid',
      `${runs} runs cannot tell the effects of these dimensions apart: give at least ${unknowns}, better twice as many or more`,
    )
  return { design, varied, settings }
}

/** Levels by dimension; of a range those that were tried, ascending. */
export const dimensionsTried = ({ varied, settings }: Tried): Dimensions =>
  Object.fromEntries(
    Object.entries(varied).map(([name, { levels, range }]) => [
      name,
      range ? [...new Set(settings.map((one) => one[name]))].sort((a, b) => Number(a) - Number(b)) : levels,
    ]),
  )
