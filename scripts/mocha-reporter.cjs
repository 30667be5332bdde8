/**
 * Mocha's spec reporter that also writes its totals for scripts/test.mjs into the file named by ZSLAB_TOTALS:
 * { passed, failed, skipped: [title …], broken: [title: message …] }. A process that does not end by itself after its last test is
 * ended, and counted as failed.
 */
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

const LINGER_MS = 30_000

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const skipped = []
    const broken = []
    runner.on(Runner.constants.EVENT_TEST_PENDING, (test) => skipped.push(test.fullTitle()))
    // The message's first line: enough to know which test it was and why, where only the end of a log is kept.
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test, error) =>
      broken.push(`${test.fullTitle()}: ${String(error?.message ?? error).split('\n')[0]}`),
    )
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = this.stats
      const told = (more) =>
        process.env.ZSLAB_TOTALS &&
        writeFileSync(
          process.env.ZSLAB_TOTALS,
          JSON.stringify({ passed: passes, failed: failures + more, skipped, broken }),
        )
      told(0)
      setTimeout(() => {
        const held = process.getActiveResourcesInfo().join(', ')
        broken.push(`the tests ended, but the process does not: something is still open (${held})`)
        console.error(broken.at(-1))
        told(1)
        process.exit(1)
      }, LINGER_MS).unref()
    })
  }
}
