/** What devices can do: datasheets, and what was measured of them (docs/cuda.md). Units are bytes, bytes a second and operations a second. */
import type { LinkName } from './links.js'

export interface Device {
  name: string
  /** Of memory; copies measured, read and written bytes together, where there was such a device. */
  bandwidth: number
  bandwidthFrom: 'measured' | 'datasheet' | 'given'
  memory: number
  /** Of tensor cores on bfloat16 and float16, dense, sums in float32. */
  tensor: number
  /** Of all other cores on float32. */
  float32: number
  /** Between devices of a host. */
  link: LinkName
}

const [GB, TERA] = [1e9, 1e12]

interface Sheet {
  /** TB/s */
  bandwidth: number
  /** TB/s of a copy, docs/cuda.md */
  copy?: number
  /** GB */
  memory: number
  /** TFLOP/s */
  tensor: number
  float32: number
  link: LinkName
}

const device = (name: string, { bandwidth, copy, memory, tensor, float32, link }: Sheet): Device => ({
  name,
  bandwidth: (copy ?? bandwidth) * TERA,
  bandwidthFrom: copy === undefined ? 'datasheet' : 'measured',
  memory: memory * GB,
  tensor: tensor * TERA,
  float32: float32 * TERA,
  link,
})

/** SXM where there are several forms. */
export const DEVICES: readonly Device[] = [
  device('a100-40g', { bandwidth: 1.555, memory: 40, tensor: 312, float32: 19.5, link: 'nvlink3' }),
  device('a100-80g', { bandwidth: 2.039, memory: 80, tensor: 312, float32: 19.5, link: 'nvlink3' }),
  device('h100', { bandwidth: 3.35, copy: 3.0, memory: 80, tensor: 989, float32: 67, link: 'nvlink4' }),
  device('h200', { bandwidth: 4.8, copy: 4.24, memory: 141, tensor: 989, float32: 67, link: 'nvlink4' }),
  device('b200', { bandwidth: 8, memory: 180, tensor: 2250, float32: 80, link: 'nvlink5' }),
  device('l4', { bandwidth: 0.3, memory: 24, tensor: 121, float32: 30.3, link: 'pcie4' }),
  device('l40s', { bandwidth: 0.864, memory: 48, tensor: 362, float32: 91.6, link: 'pcie4' }),
  device('rtx4090', { bandwidth: 1.008, memory: 24, tensor: 165.2, float32: 82.6, link: 'pcie4' }),
  device('rtx5090', { bandwidth: 1.792, memory: 32, tensor: 209.5, float32: 104.8, link: 'pcie5' }),
]
