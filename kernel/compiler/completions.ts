/** TypeScript's completions, as tslab's converter asks for them, but with a disk to look at: paths of imports complete too. */
import type { TypeScript } from './typescript.js'

type Complete = (host: unknown, ...rest: unknown[]) => unknown

interface Completions {
  getCompletionsAtPositionForTslab: Complete
}

export function withDisk(ts: TypeScript): Completions {
  const { Completions: all } = ts as unknown as { Completions: Completions }
  const { sys } = ts
  // Not copies: what the disk seems to hold changes with the notebook's folder (TypeFiles).
  const host = {
    getCurrentDirectory: () => sys.getCurrentDirectory(),
    getDirectories: (path: string) => sys.getDirectories(path),
    directoryExists: (path: string) => sys.directoryExists(path),
    fileExists: (path: string) => sys.fileExists(path),
    readFile: (path: string, encoding?: string) => sys.readFile(path, encoding),
    readDirectory: (...words: Parameters<typeof sys.readDirectory>) => sys.readDirectory(...words),
    useCaseSensitiveFileNames: () => true,
    getCompilationSettings: () => ({}),
  }
  return {
    ...all,
    getCompletionsAtPositionForTslab: (_, ...rest) => all.getCompletionsAtPositionForTslab(host, ...rest),
  }
}
