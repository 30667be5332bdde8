/** process.stdin in cells: readline and iteration ask the user, a front end that cannot ask is an error. */
import assert from 'node:assert/strict'
import { build, Kernel, testable } from './client.js'

const READLINE = "import { createInterface } from 'node:readline/promises'\n"
const OPEN = 'const rl = createInterface({ input: process.stdin, output: process.stdout })\n'

if (testable())
  describe('kernel: stdin', function () {
    this.timeout(300_000)
    let kernel: Kernel
    before(async () => {
      build()
      kernel = await Kernel.start()
    })
    after(() => kernel.stop())

    /** Runs `code`, answers its questions in turn → what it led to. */
    async function answering(code: string, ...lines: string[]) {
      const id = await kernel.begin(code, { allow_stdin: true })
      for (const [i, value] of lines.entries()) {
        const asked = () => kernel.messages.filter((m) => m.type === 'input_request' && m.parent === id)
        const { content, id: parent } = await kernel.until(() => asked().at(i), `question ${i + 1} of ${code}`)
        assert.deepEqual(content, { prompt: '', password: false })
        await kernel.send('stdin', 'input_reply', { value }, { parent })
      }
      return kernel.finish(id)
    }
    const plain = ({ result }: { result?: { data?: Record<string, unknown> } }) => result?.data?.['text/plain']

    it('readline is answered, in the cell that opened it and in later ones', async () => {
      const first = await answering(
        `${READLINE}${OPEN};[await rl.question('name? '), await rl.question('age? ')]`,
        'Ada',
        '36',
      )
      assert.equal(plain(first), "[ 'Ada', '36' ]")
      assert.equal(first.stdout, 'name? age? ')
      assert.equal(plain(await answering("await rl.question('where? ')", 'here')), "'here'")
      assert.equal(plain(await answering('rl.close()\n1')), '1')
      const again = `${OPEN.replace('const', 'let')}const line = await rl.question('again? ')\nrl.close()\nline`
      assert.equal(plain(await answering(again, 'yes')), "'yes'")
    })

    it('lines are read one after another, also without readline', async () => {
      const loop = `${READLINE}const seen: string[] = []\nfor await (const line of createInterface({ input: process.stdin })) {\n  seen.push(line)\n  if (line === 'end') break\n}\nseen`
      assert.equal(plain(await answering(loop, 'a', 'é', 'end')), "[ 'a', 'é', 'end' ]")
      const once = "import { once } from 'node:events'\nString(await once(process.stdin, 'data'))"
      assert.equal(plain(await answering(once, 'bytes')), "'bytes\\n'")
    })

    it('an interrupt ends the wait, and the next cell may ask', async () => {
      const id = await kernel.begin(
        `${READLINE}const r2 = createInterface({ input: process.stdin })\nawait r2.question('')`,
        {
          allow_stdin: true,
        },
      )
      await kernel.until(() => kernel.messages.find((m) => m.type === 'input_request' && m.parent === id), 'a question')
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(id)).error?.ename, 'Interrupted')
      assert.equal(plain(await answering("r2.close(); await input('')", 'mine')), "'mine'")
    })

    it('where nobody can answer, the cell ends with the reason', async () => {
      const { error } = await kernel.execute(`${READLINE}await createInterface({ input: process.stdin }).question('?')`)
      assert.match(error?.evalue as string, /this front end cannot ask for input/)
    })
  })
