/**
 * What lies between devices of a host, and between hosts. Bandwidths, bytes a second in one direction, are those of datasheets; latencies, in
 * microseconds, those that NCCL's cost model goes by (NVIDIA/nccl, src/graph/tuning.cc at 01afd20: ring, protocol LL).
 */

export const LINKS = ['nvlink3', 'nvlink4', 'nvlink5', 'pcie4', 'pcie5'] as const
export type LinkName = (typeof LINKS)[number]
export const NETWORKS = ['hdr', 'ndr', 'xdr', 'ethernet100'] as const
export type NetworkName = (typeof NETWORKS)[number]

export interface Link {
  about: string
  bandwidth: number
  /** From one device to the next. */
  hop: number
}

/** What any exchange takes beside its hops, microseconds. */
export const EXCHANGE_BASE = 3.6

const GB = 1e9

export const LINK: Readonly<Record<LinkName, Link>> = {
  nvlink3: { about: 'NVLink 3, 600 GB/s both ways', bandwidth: 300 * GB, hop: 0.47 },
  nvlink4: { about: 'NVLink 4, 900 GB/s both ways', bandwidth: 450 * GB, hop: 0.47 },
  nvlink5: { about: 'NVLink 5, 1,800 GB/s both ways', bandwidth: 900 * GB, hop: 0.47 },
  pcie4: { about: 'PCIe 4.0 ×16, 64 GB/s both ways', bandwidth: 32 * GB, hop: 1 },
  pcie5: { about: 'PCIe 5.0 ×16, 128 GB/s both ways', bandwidth: 64 * GB, hop: 1 },
}

export const NETWORK: Readonly<Record<NetworkName, Link>> = {
  hdr: { about: 'InfiniBand HDR, 200 Gb/s a port', bandwidth: 25 * GB, hop: 2.7 },
  ndr: { about: 'InfiniBand NDR, 400 Gb/s a port', bandwidth: 50 * GB, hop: 2.7 },
  xdr: { about: 'InfiniBand XDR, 800 Gb/s a port', bandwidth: 100 * GB, hop: 2.7 },
  ethernet100: { about: 'Ethernet, 100 Gb/s a port', bandwidth: 12.5 * GB, hop: 2.7 },
}
