/** Notebook 08: what a cache costs and when it pays, in times that it comes with. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { answersInPrinted, joined, olderThan, printed, readNotebook, ROOT, valueOf } from './notebook.js'
import { story } from './story.js'

story('08-cost', ['zsmerge', 'snapkv'], (cells) => {
  const rows = (id: string) => printed(cells()[id]).trimEnd().split('\n')

  it('measures nothing that comes with it, and says of which machine its times are', () => {
    olderThan(Date.now() - process.uptime() * 1000, '08-')
    assert.match(joined(valueOf(cells().measure)!['text/plain']), /^What zsmerge costs and saves, over 12 turns of 8 steps/)
    for (const figure of ['zsmerge', 'snapkv'])
      assert.match(joined(valueOf(cells()[`${figure}-figure`])!['image/svg+xml']), /, 2 threads · /)
  })

  it('takes steps apart into parts that add up, by four budgets at five lengths', () => {
    const [head, ...parts] = rows('operations').slice(1, 7)
    const mean = (text: string) => Number(/(−?[\d.]+) \[/.exec(text)![1].replace('−', '-'))
    const step = mean(head.split('ZSMerge ')[1])
    const sum = parts.slice(0, 5).reduce((all, part) => all + mean(part), 0)
    assert.ok(sum < step && rows('operations').length === 1 + 4 * 7, `${sum} of ${step}`)
    assert.equal(rows('budgets').length, 4 * 6)
    assert.equal(rows('prompts').length, 2 * 5)
    assert.ok(rows('predicted').every((line) => line.includes('on an h100')))
  })

  it('answers in numbers that it printed', () =>
    answersInPrinted(readNotebook(join(ROOT, 'notebooks/08-cost.ipynb')), Object.values(cells())))
})
