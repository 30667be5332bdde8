/** What tests use of cuda.mjs. */

/** The first nvcc that fits (PATH, CUDA_HOME, .venv of `root`), or why there is none. */
export function findNvcc(root: string): { path: string; version: string } | { why: string }

/** undefined, or in a line why the library cannot be built. */
export function buildCuda(
  given: Record<'root' | 'folder' | 'library' | 'log' | 'nvcc' | 'cmake' | 'compiler' | 'built', string> & {
    jobs: number
  },
): Promise<string | undefined>
