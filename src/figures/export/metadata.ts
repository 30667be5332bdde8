/** What travels in a file beside its picture. */
import type { Plot } from '../plot.js'

export interface Metadata {
  title: string
  description: string
}

export const metadataOf = ({ title, detail, subject }: Plot): Metadata => ({
  title,
  description: `${detail} ${subject}`,
})
