/** Numbers that were measured, in words: three significant digits, with their interval where there is one. */

export interface IntervalFacts {
  mean: number
  low: number | null
  high: number | null
}

export const figure = (value: number, signed = false) =>
  `${signed && value > 0 ? '+' : ''}${value === 0 ? '0' : value.toPrecision(3)}`.replace('-', '−')

export const interval = ({ mean, low, high }: IntervalFacts, signed = false) =>
  `${figure(mean, signed)}${low === null || high === null ? '' : ` [${figure(low, signed)}, ${figure(high, signed)}]`}`
