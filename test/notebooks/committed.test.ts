/** The committed notebooks: in the format they claim, run from top to bottom, with nothing of the machine that ran them. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeCells, readNotebook, ROOT } from './notebook.js'

const FOLDER = join(ROOT, 'notebooks')

describe('committed notebooks', () => {
  const inside = (folder: string) => readdirSync(join(FOLDER, folder)).filter((name) => name.endsWith('.ipynb'))
  const names = inside('')

  it('have a number each', () => {
    const numbers = names.map((name) => /^\d\d-/.exec(name)?.[0])
    assert.ok(numbers.every(Boolean) && numbers.includes('01-'), names.join(', '))
    assert.equal(new Set(numbers).size, names.length, `two share a number: ${names.join(', ')}`)
  })

  for (const name of [...names, ...inside('reviewers').map((name) => join('reviewers', name))])
    describe(name, () => {
      const path = join(FOLDER, name)
      const notebook = readNotebook(path)

      it('is nbformat 4.5 for our kernel, with an id for every cell', () => {
        assert.deepEqual([notebook.nbformat, notebook.nbformat_minor], [4, 5])
        const { kernelspec } = notebook.metadata
        assert.deepEqual([kernelspec.name, kernelspec.language], ['zslab', 'typescript'])
        const ids = notebook.cells.map((cell) => cell.id)
        assert.ok(ids.every((id) => /^[a-zA-Z0-9_-]{1,64}$/.test(id)), ids.join(', '))
        assert.equal(new Set(ids).size, ids.length, 'two cells share an id')
      })

      it('was run once, from top to bottom, without an error', () => {
        const cells = codeCells(notebook)
        assert.deepEqual(
          cells.map((cell) => cell.execution_count),
          cells.map((_, i) => i + 1),
        )
        for (const cell of cells)
          for (const output of cell.outputs!) assert.notEqual(output.output_type, 'error', `cell ${cell.id} failed`)
      })

      it('names no folder of the machine that ran it', () => {
        const found = /(?:\/(?:home|root|tmp|work|Users)\/[^\s"'\\]*)/.exec(readFileSync(path, 'utf8'))
        assert.equal(found, null, `found ${found?.[0]}`)
      })
    })
})
