/** The text of averages over texts: what is kept of them and missed, over all layers, and how far texts differ. */
import { counted, lines } from './texts.js'

type Cells = (number | string | null)[]

export function averagesText(
  { texts, shadows, layers, bins }: { texts: number; shadows: number; layers: number; bins: number },
  table: Record<string, Cells>,
): string {
  const rows = (measure: string) =>
    Array.from(table.measure.keys()).filter((row) => table.measure[row] === measure && table.layer[row] === null)
  const percent = (value: number) => `${(100 * value).toFixed(1)}%`
  const end = (name: string, row: number) => `${percent(Number(table.mean[row]))} ${name}`
  const alone = rows('alone')
  const places = [alone[0], alone[alone.length >> 1], alone[alone.length - 1]]
  const regret = (measure: string) => rows(measure).reduce((sum, row) => sum + Number(table.mean[row]), 0)
  return lines(
    `Averages over ${counted(texts)} texts, ${counted(shadows)} of them with shadows: ${counted(layers)} layers × ${counted(bins)} parts of each text`,
    `in slots of their own: ${['at the beginning', 'in the middle', 'at the end'].map((name, i) => end(name, places[i])).join(', ')}`,
    shadows
      ? `of full attention, ${percent(regret('regretMerged'))} goes to tokens merged before and ${percent(regret('regretDropped'))} to dropped ones`
      : 'without shadows there is no regret: averages([{ run, shadow: await run.shadow() }, …])',
    'next: averages.frame(), mean and spread by measure, layer and part; averages.byText()',
  )
}
