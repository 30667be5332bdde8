/** A plot's words in the characters that our fonts have. */
import { lacking, spelt } from './fonts/faces.js'
import type { Axis, Plot } from './plot.js'

/** The same plot with every word of it changed. */
function reworded(plot: Plot, word: (text: string) => string): Plot {
  const axis = (given: Axis): Axis => ({
    ...given,
    label: given.label && word(given.label),
    ticks: Array.isArray(given.ticks) ? given.ticks.map((tick) => ({ ...tick, text: word(tick.text) })) : given.ticks,
  })
  const { ramp } = plot
  return {
    ...plot,
    title: word(plot.title),
    detail: word(plot.detail),
    subject: word(plot.subject),
    notes: plot.notes.map(word),
    legend: plot.legend.map((entry) => ({ ...entry, label: word(entry.label) })),
    ramp: ramp && { ...ramp, label: word(ramp.label), from: word(ramp.from), to: word(ramp.to) },
    panels: plot.panels.map((panel) => ({
      ...panel,
      title: panel.title && word(panel.title),
      x: axis(panel.x),
      y: axis(panel.y),
      marks: panel.marks.map((mark) => (mark.kind === 'labels' ? { ...mark, text: mark.text.map(word) } : mark)),
    })),
  }
}

/** The characters of a plot's words that our fonts lack. */
export function lackingIn(plot: Plot): string[] {
  const words: string[] = []
  reworded(plot, (text) => (words.push(text), text))
  return lacking(words.join(''))
}

export const speltPlot = (plot: Plot): Plot => reworded(plot, spelt)
