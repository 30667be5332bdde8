/** Notebooks that answer a reviewer's question each: what they come with is enough, and their answers are what they printed. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answersInPrinted, codeCells, comesAsPlanned, kindsOf, node, olderThan, planIn, printed, readNotebook, ROOT, type Cell } from './notebook.js'

const FOLDER = join(ROOT, 'notebooks/reviewers')
/** Of a store, at most. */
const BYTES = 300e3

/** What the plan of each store of a notebook says: the cell's value of a single one, of several a line each, such as 'decay-needles: 12 settings on …'. */
function plansOf(name: string, plan: Cell): [store: string, said: string][] {
  const own = readdirSync(join(ROOT, 'notebooks/stores/reviewers')).filter((store) => `${store}-`.startsWith(`${name}-`))
  if (own.join() === name) return [[name, planIn(plan)]]
  const lines = printed(plan).split('\n')
  const plans = own.map((store): [string, string] => [store, lines.find((line) => line.startsWith(`${store}: `)) ?? ''])
  assert.ok(plans.length && plans.every(([, said]) => said), `not planned: ${plans.join('; ')}`)
  return plans
}

describe("notebooks of reviewers' questions", function () {
  this.timeout(300_000)
  let out: string
  const names = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.ipynb'))
    .map((file) => file.slice(0, -'.ipynb'.length))

  before(() => (out = mkdtempSync(join(tmpdir(), 'zslab-reviewers-'))))
  after(() => rmSync(out, { recursive: true, force: true }))

  for (const name of names)
    describe(name, () => {
      const committed = readNotebook(join(FOLDER, `${name}.ipynb`))
      let cells: Cell[]
      let began: number

      before(() => {
        began = Date.now()
        const path = join(out, `${name}.ipynb`)
        const words = ['dist/src/cli/main.js', 'run', `notebooks/reviewers/${name}.ipynb`, '--output', path]
        const done = node(words, { ZSLAB_OUT: out })
        assert.equal(done.status, 0, done.stdout + done.stderr)
        cells = codeCells(readNotebook(path))
      })

      it('measures nothing that comes with it, and puts out what the committed one has', () => {
        const plan = cells.find(({ id }) => id === 'plan')
        if (plan) for (const [store, said] of plansOf(name, plan)) comesAsPlanned(`reviewers/${store}`, said, BYTES)
        // Without a study it is numbers in files, which would have been made anew.
        else olderThan(began, `reviewers-${name}`)
        assert.deepEqual(kindsOf({ ...committed, cells }), kindsOf(committed))
      })

      it('draws a figure, and answers in numbers that it printed', () => {
        assert.ok(readdirSync(out).some((file) => file.startsWith(`${name}-`) && file.endsWith('.svg')))
        answersInPrinted(committed, cells)
      })
    })
})
