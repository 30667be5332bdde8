/** TypeScript's completions, as tslab's converter asks for them, but with a disk to look at: paths of imports complete too. */
import type { TypeScript } from './compile.js'

type Complete = (host: unknown, ...rest: unknown[]) => unknown

interface Completions {
  getCompletionsAtPositionForTslab: Complete
}

export function withDisk(ts: TypeScript): Completions {
  const { Completions: all } = ts as unknown as { Completions: Completions }
  const { sys } = ts
  const host = {
    getCurrentDirectory: sys.getCurrentDirectory,
    getDirectories: sys.getDirectories,
    directoryExists: sys.directoryExists,
    fileExists: sys.fileExists,
    readFile: sys.readFile,
    readDirectory: sys.readDirectory,
    useCaseSensitiveFileNames: () => true,
    getCompilationSettings: () => ({}),
  }
  return {
    ...all,
    getCompletionsAtPositionForTslab: (_, ...rest) => all.getCompletionsAtPositionForTslab(host, ...rest),
  }
}
