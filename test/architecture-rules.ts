/** Who may import whom: the table that test/architecture.test.ts holds the sources to. */
export interface Rule {
  from: RegExp
  /** Own files that may be imported beside those that `from` matches. */
  may: RegExp | undefined
  why: string
}

const BASE = 'src/(errors|expect)\\.ts|src/show/'
const rule = (from: string, may: string[], why: string): Rule => ({
  from: new RegExp(`^${from}`),
  may: may.length ? new RegExp(`^(${may.join('|')})`) : undefined,
  why,
})

/** The first that matches a file holds for it. */
export const TYPESCRIPT: Rule[] = [
  rule('kernel/', [], 'the kernel is for anybody: it knows nothing of attention'),
  rule('src/errors\\.ts', [], 'errors stand alone'),
  rule('src/show/', [], 'texts of objects are made of plain facts'),
  rule('src/expect\\.ts', [BASE], 'checks need errors only'),
  rule('src/native/', [BASE], 'the binding knows the addon, errors and checks'),
  rule('src/model/', [BASE], 'files of models are read and checked without the engine'),
  rule('src/frames(\\.ts|/)', [BASE, 'src/frames'], 'frames are the one door to danfojs'),
  rule('src/(progress|sampling|watchers)\\.ts', [BASE], 'small and alone'),
  rule('src/statistics/', [BASE, 'src/sampling\\.ts'], 'numbers of whatever was measured'),
  rule('src/recipe/recipe\\.ts', [], 'how something was made is data, whatever it is'),
  rule(
    'src/recipe/',
    [BASE, 'src/policies/'],
    'a recipe is calls by name: it is done with the library that it is given',
  ),
  rule('src/policies/', [BASE, 'src/native/', 'src/recipe/recipe\\.ts'], 'a policy is options and a struct'),
  rule(
    'src/figures/',
    [BASE, 'src/frames\\.ts', 'src/(trace|inspect|experiments|statistics|comm|recipe)/'],
    'figures draw data, whoever made it: no engine, no kernel',
  ),
  rule('src/comm/', [BASE, 'src/progress\\.ts'], 'pages and kernel talk of whatever was shown'),
  rule(
    'src/explorer/',
    [BASE, 'src/(progress|watchers)\\.ts', 'src/(trace|figures|comm)/'],
    'the explorer shows traces in the colours and words of the figures',
  ),
  rule(
    'src/experiments/pool-child\\.ts',
    ['src/(?!cli/|figures/|explorer/|comm/|index\\.ts)'],
    'a process of a pool is a program: it begins with a model',
  ),
  rule(
    'src/experiments/',
    ['src/(?!cli/|figures/|explorer/|comm/|index\\.ts|session\\.ts|load\\.ts)'],
    'studies compute: they draw nothing, and know no command',
  ),
  rule('src/cli/', ['src/', 'kernel/'], 'commands use everything'),
  rule('src/index\\.ts', ['src/(?!cli/)'], 'the public surface'),
  rule(
    'src/(session|load)\\.ts',
    ['src/(?!cli/|figures/|explorer/|comm/|index\\.ts)'],
    'what computes draws nothing and knows no command; figures reach it through the public surface',
  ),
  rule(
    'src/(?!cli/|figures/|explorer/|comm/|index\\.ts|session\\.ts|load\\.ts)',
    [],
    'what sessions are made of knows neither them nor a command',
  ),
  rule('bench/', ['src/', 'scripts/', 'test/models/', 'test/lab/lab\\.ts'], 'benches measure the public surface'),
  rule('test/', ['src/', 'kernel/', 'scripts/', 'notebooks/', 'bench/'], 'tests may look everywhere'),
  rule('scripts/', [], 'scripts build, start and test the project: what needs its code is a bench or a test'),
]

export const INCLUDES: Rule[] = [
  rule('native/include/', [], 'the C ABI stands alone'),
  rule('native/reference/', [], 'the judge knows nobody'),
  rule('native/addon/', ['native/include/'], 'the addon unpacks, calls and wraps'),
  rule(
    'native/policies/',
    ['native/include/', 'native/policies/', 'native/core/(policy|device_rule|error|half)\\.h'],
    'policies fill in the hooks',
  ),
  rule(
    'native/core/',
    ['native/include/', 'native/policies/', 'native/cpu/[a-z]+\\.h'],
    'the core reaches the kernels by their tables of functions',
  ),
  rule(
    'native/cpu/',
    ['native/include/', 'native/core/(kernels|error)\\.h'],
    'kernels know the table that they fill and how failures are told',
  ),
  rule(
    'native/model/',
    ['native/include/', 'native/core/', 'native/cpu/(linear|packing)\\.h'],
    'the runner uses core and table',
  ),
  rule(
    'native/test/packed\\.cpp',
    [
      'native/test/check\\.h',
      'native/model/(packed|quants|tensors)\\.h',
      'native/cpu/linear\\.h',
      'native/core/(half|kernels)\\.h',
      'native/include/',
    ],
    'kernels of packed weights are judged one by one: which one a model takes, no caller can choose',
  ),
  rule(
    'native/test/packed_file\\.cpp',
    [
      'native/test/(check|caches|tiny_model)\\.h',
      'native/model/packed_file\\.h',
      'native/core/pool\\.h',
      'native/include/',
    ],
    'what a broken file of packed weights is taken for, a caller who gets right weights either way cannot see',
  ),
  rule(
    'native/test/',
    [
      'native/include/',
      'native/reference/',
      'native/cpu/trials\\.h',
      'native/core/cache\\.h',
      'native/model/quants\\.h',
    ],
    'native tests use the C ABI, as users do; what depends on time alone gets a clock of its own, faults that no caller can make are planted, and of widened weights each bit counts, which no caller sees',
  ),
  rule('native/cuda/emulation/', [], 'the emulation runs any kernel: it knows none'),
  rule(
    'native/cuda/test/(caches\\.cpp|models\\.cpp|passes\\.cpp|goes\\.h|benches\\.cpp|recorded\\.cpp)',
    ['native/'],
    'whole caches and models on a device are tested beside those on the CPU',
  ),
  rule(
    'native/cuda/backend/',
    [
      'native/include/',
      'native/core/(device|device_compress|device_pass|device_prompt|device_library|device_model|error|kernels|pages)\\.h',
      'native/cuda/',
    ],
    'the library with the device takes and gives what the core asks of one',
  ),
  rule(
    'native/cuda/test/',
    [
      'native/include/',
      'native/cuda/',
      'native/core/(kernels|half|pages|work)\\.h',
      'native/policies/(regions|zsmerge)\\.h',
      'native/cpu/linear\\.h',
      'native/test/check\\.h',
    ],
    'kernels are tested one by one, beside the tables of the CPU, the pages that it fills, what it takes for finite and who leaves there',
  ),
  rule('native/cuda/bench/', ['native/(?!addon/)'], 'benches measure the parts, and whole caches on a device'),
  rule(
    'native/cuda/',
    ['native/include/', 'native/core/(kernels|found|natural_log)\\.h', 'native/cuda/'],
    'CUDA kernels are a backend: what they take and give is the table of the core, and what they found, with its ln',
  ),
  rule('native/bench/', ['native/(?!addon/)'], 'benches measure the parts'),
]
