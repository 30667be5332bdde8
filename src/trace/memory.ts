/** How much of a tape stays in memory, where the rest goes, and what so many tokens will take at most. */
import { accessSync, constants, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { shown, ZslabError } from '../errors.js'
import { integer, text } from '../expect.js'
import { EVENT_BYTES } from './columns.js'

export interface TapeBound {
  /** Bytes of events that stay in memory; older ones go to files. */
  readonly memory: number
  /** Where those files are, without names. */
  readonly folder: string
}

export interface TapeBytes {
  events: number
  /** Bytes of the newest events, in memory. */
  memory: number
  /** Bytes of older ones, in temporary files. */
  files: number
  /** Bytes of what a session's calls were given, kept in memory so that run.shadow() decodes nothing again; 0 of a cache alone. */
  given: number
}

/** 5.4 million events. */
const MEMORY = 2 ** 28
/** Events that go to files together: the newest so many are in memory always. */
const UNIT = 2 ** 16

/** Errors: 'invalid', and 'file' for a folder that was given and cannot be written to. */
export function tapeBoundOf(memory: number | undefined, folder: string | undefined): TapeBound {
  return {
    memory: memory === undefined ? MEMORY : integer('trace.memory', memory, 0),
    folder: folder === undefined ? tmpdir() : writable(text('trace.folder', folder)),
  }
}

function writable(folder: string): string {
  try {
    if (!statSync(folder).isDirectory()) throw new Error('it is no folder')
    accessSync(folder, constants.W_OK | constants.X_OK)
    return folder
  } catch (error) {
    throw new ZslabError('file', `trace.folder ${shown(folder)} cannot hold events: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** What a tape takes at most once `more` events have joined it. */
export function tapeBytesAfter(now: TapeBytes, more: number, bound: TapeBound): TapeBytes {
  const events = now.events + more
  const beyond = events * EVENT_BYTES - Math.max(bound.memory, UNIT * EVENT_BYTES)
  const units = Math.min(Math.ceil(beyond / (UNIT * EVENT_BYTES)), Math.floor(events / UNIT))
  const files = Math.max(now.files, units * UNIT * EVENT_BYTES)
  return { events, memory: events * EVENT_BYTES - files, files, given: now.given }
}
