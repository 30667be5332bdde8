/** Words in the characters that our fonts have. */
import { codeOf, lacking, spelt } from './fonts/faces.js'
import { pictured } from './pictured.js'
import type { Axis, Plot } from './plot.js'
import { counted } from './scale.js'
import type { Style } from './style.js'
import { linesOf } from './text.js'
import { visible } from './visible.js'
import { listed } from './words.js'

/** A token's text as it can stand on a line of a picture. */
export const tokenText = (text: string, { spelt: codes }: Pick<Style, 'spelt'>) =>
  codes ? spelt(visible(text)) : visible(text)

/** The same plot with every word of it changed. */
function reworded(plot: Plot, word: (text: string) => string): Plot {
  const axis = (given: Axis): Axis => ({
    ...given,
    label: given.label && word(given.label),
    ticks: Array.isArray(given.ticks)
      ? given.ticks.map((tick) => ({ ...tick, text: linesOf(tick.text).map(word).join('\n') }))
      : given.ticks,
  })
  const { ramp, cells } = plot
  return {
    ...plot,
    title: word(plot.title),
    detail: word(plot.detail),
    subject: word(plot.subject),
    notes: plot.notes.map(word),
    legend: plot.legend.map((entry) => ({ ...entry, label: word(entry.label) })),
    cells: cells && {
      ...cells,
      each: cells.each.map((cell) => ({ ...cell, title: word(cell.title), plot: reworded(cell.plot, word) })),
    },
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

/** The characters of a picture's words that our fonts lack. */
export function lackingIn(plot: Plot, style: Pick<Style, 'words'>): string[] {
  const words: string[] = []
  reworded(pictured(plot, style), (text) => (words.push(text), text))
  // Halves of characters are no whole one when they meet.
  return lacking(words.join(' '))
}

export const speltPlot = (plot: Plot): Plot => reworded(plot, spelt)

/** Named one by one. */
const MOST_NAMED = 6

/** A sentence after a figure's summary; nothing where our fonts have every character. */
export function lackingWords(characters: readonly string[]): string {
  if (!characters.length) return ''
  const more = characters.length - MOST_NAMED
  const codes = characters.slice(0, MOST_NAMED).map((character) => `□${codeOf(character)}`)
  const named = listed(more > 0 ? [...codes, `${more} more`] : codes)
  return ` The fonts of its png and pdf lack ${counted(characters.length, 'character')}, drawn there as ${named}.`
}
