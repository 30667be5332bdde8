/** The same step on more devices and hosts, and what it takes to move a sequence from one host to another. */
import { compressedSlots, fullSlots, type Asked } from './asked.js'
import type { Slots } from './bytes.js'
import { NETWORK } from './links.js'
import { exchangedOf, onHost, predictCache } from './predict.js'
import { splitsOf } from './several.js'

export interface ScaledCache {
  tokensPerSecond: number
  /** In a step: how many, and what a device sends. */
  exchanges: number
  exchangeBytes: number
  /** Of the least time of a step. */
  exchangeShare: number
  largestBatch: number
}

export interface Scaled {
  /** Of a host. */
  devices: number
  hosts: number
  /** Sequences of the host that has most. */
  batchOnHost: number
  full: ScaledCache
  compressed: ScaledCache
}

/** Devices of a host that are looked at beside those asked for. */
const USUAL = 8

export function scalingOf(asked: Asked): Scaled[] {
  const { model, cluster, batch } = asked
  return splitsOf(model, Math.max(USUAL, cluster.devices)).map((devices) => {
    const other = { ...asked, cluster: { ...cluster, devices } }
    const scaled = (slotsAt: (context: number) => Slots | null): ScaledCache => {
      const { tokensPerSecond, microseconds, largestBatch } = predictCache(other, slotsAt)
      const { count, bytes, microseconds: exchanging } = exchangedOf(other, slotsAt(asked.context)!, batch)
      const exchangeShare = exchanging / microseconds
      return { tokensPerSecond, exchanges: count, exchangeBytes: bytes, exchangeShare, largestBatch }
    }
    return {
      devices,
      hosts: cluster.hosts,
      batchOnHost: onHost(other, batch),
      full: scaled(fullSlots),
      compressed: scaled((context) => compressedSlots(other, context)),
    }
  })
}

/** Microseconds for `bytes` of each of a host's devices, over a port of its own each. */
export const betweenHosts = ({ cluster: { network } }: Asked, bytes: number): number =>
  NETWORK[network].hop + (1e6 * bytes) / NETWORK[network].bandwidth
