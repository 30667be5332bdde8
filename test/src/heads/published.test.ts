/** Published files of head scores: each kind as its authors write it, and files that are none. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readPublished } from '../../../src/heads/published.js'

describe('published head scores', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-heads-'))
  after(() => rmSync(folder, { recursive: true }))
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const refused = (name: string, content: string | Buffer, message: RegExp) =>
    assert.rejects(readPublished(file(name, content)), (error: Error & { code: string }) => {
      assert.equal(error.code, 'file')
      assert.match(error.message, message)
      return true
    })

  it('DuoAttention’s gates', async () => {
    const found = await readPublished(file('full_attention_heads.tsv', '0.5\t1.0\r\n0.25\t0\n1\t0.75\n'))
    assert.deepEqual(
      { ...found, values: [...found.values], runs: 1 },
      {
        format: 'duo-attention',
        of: 'kvHeads',
        layers: 3,
        each: 2,
        values: [0.5, 1, 0.25, 0, 1, 0.75],
        runs: 1,
      },
    )
  })

  it('retrieval scores, in any order of heads: their mean, and each detection that all have', async () => {
    const scores = { '1-0': [0.5, 0.1], '0-0': [1, 0], '0-1': [0.25, 0.75, 1.25], '1-1': [0, 0] }
    const found = await readPublished(file('llama.json', JSON.stringify(scores)))
    assert.deepEqual([found.of, found.layers, found.each], ['heads', 2, 2])
    assert.deepEqual([...found.values], [0.5, 0.75, 0.3, 0])
    assert.deepEqual(
      found.runs.map((run) => [...run]),
      [
        [1, 0.25, 0.5, 0],
        [0, 0.75, 0.1, 0],
      ],
    )
  })

  it('KVzip’s scores, written as JSON', async () => {
    const found = await readPublished(file('kvzip.json', '[[0.1, 0.9], [0.4, 0.2]]'))
    assert.deepEqual([found.of, found.layers, found.each, ...found.values], ['kvHeads', 2, 2, 0.1, 0.9, 0.4, 0.2])
  })

  it('says what is wrong with others, and where', async () => {
    await refused('a.pt', Buffer.from('PK\u0003\u0004archive'), /file of PyTorch.*JSON \[layers\]\[kvHeads\]/)
    await refused('b.tsv', '1\t2\n3\n', /1 scores in row 1, but 2 in row 0/)
    await refused('c.tsv', '1\tx\n', /no number in row 0, column 1/)
    await refused('d.json', '{"0-0": [1], "1-1": [1]}', /no scores for head 0-1/)
    await refused('e.json', '{"first": [1]}', /a key "first"/)
    await refused('f.json', '{"0-0": []}', /no list of numbers for "0-0"/)
    await refused('g.json', '{}', /holds no scores/)
    await refused('h.json', '[]', /holds no scores/)
    await refused('i.json', '[[1], ', /is no JSON/)
    await assert.rejects(readPublished(join(folder, 'none.tsv')), /cannot read/)
  })
})
