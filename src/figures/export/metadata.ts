/** What travels in a file beside its picture. */
import type { FigureCard } from '../../recipe/card.js'
import type { Plot } from '../plot.js'
import { escaped } from './escaped.js'

export interface Metadata {
  title: string
  description: string
  /** How it was made, so that it can be made again. */
  card?: FigureCard
}

export const metadataOf = ({ title, detail, subject }: Plot, card?: FigureCard): Metadata => ({
  title,
  description: `${detail} ${subject}`,
  card,
})

/** The card in XML of any kind; nothing where there is none. */
export const cardElement = ({ card }: Metadata): string =>
  card ? `<zslab:card xmlns:zslab="urn:zslab:card">${escaped(JSON.stringify(card))}</zslab:card>` : ''
