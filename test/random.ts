/** Of random tests that say nothing else: the same cases each time, and an end also where what fails could be made smaller for hours. */
import fc from 'fast-check'

fc.configureGlobal({
  seed: Number(process.env.ZSLAB_TEST_SEED ?? 20_261),
  interruptAfterTimeLimit: 10 * 60_000,
  markInterruptAsFailure: true,
})
