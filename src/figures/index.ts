/** The figures, one file each. Every one takes runs or their plain data, and says in words what it shows. */
export { divergence, type DivergenceOptions } from './divergence.js'
export { evictionMap, type EvictionMapOptions } from './eviction-map.js'
export { Figure } from './figure.js'
export { memory, type MemoryOptions } from './memory.js'
export { mergeLineage, type MergeLineageOptions } from './merge-lineage.js'
export { survival, type SurvivalOptions } from './survival.js'
export { tokenStrip, type TokenStripOptions } from './token-strip.js'
export type { Size, StyleOptions, Theme } from './style.js'
