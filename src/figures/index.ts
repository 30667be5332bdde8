/** The figures, one file each. Every one takes runs or their plain data, and says in words what it shows. */
export { evictionMap, type EvictionMapOptions } from './eviction-map.js'
export { Figure } from './figure.js'
export type { Size, StyleOptions, Theme } from './style.js'
