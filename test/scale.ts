/**
 * How much the tests do: ZSLAB_TEST_SCALE = full (every case), ci (the same, but of random cases that are much alike a fifth), else
 * a sample. native/test/check.h has the same.
 */
const scale = process.env.ZSLAB_TEST_SCALE

export const full = scale === 'full' || scale === 'ci'
/** Also what CI takes in turns. */
export const everything = scale === 'full'
/** Of what CI takes in turns: every `of`-th there, all elsewhere. */
export const inTurn = (i: number, of: number) => scale !== 'ci' || i % of === 0
/** Random cases: the full number, or a sample. */
export const cases = (all: number, sample: number) => (full ? all : sample)
/** As cases(), of such as are much alike and take long. */
export const alike = (all: number, sample: number) =>
  scale === 'ci' ? Math.max(sample, Math.ceil(all / 5)) : cases(all, sample)
