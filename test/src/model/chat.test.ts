/** Chat templates: golden prompts, messages that cannot be, templates that fail or misbehave. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { toyModel } from '../../../scripts/make-toy-model.js'
import { renderChat, type Message } from '../../../src/model/chat.js'
import type { GgufFile, MetadataValue } from '../../../src/model/gguf.js'
import { readGguf } from '../../../src/model/gguf-parts.js'
import { openModelFile } from '../../../src/model/index.js'
import { defaultModel } from './default-model.js'
import { goldenPath, toyPath } from './files.js'

interface Chat {
  messages: Message[]
  addGenerationPrompt: boolean
  text: string
  ids: number[]
}
const { chat } = JSON.parse(readFileSync(goldenPath('smollm2_tokens.json'), 'utf8')) as { chat: Chat[] }

function withTemplate(template: MetadataValue | undefined): GgufFile {
  const entries = toyModel({ layers: 1 }).metadata.map(({ key, value }) => [key, value as MetadataValue])
  const metadata = Object.fromEntries(entries) as Record<string, MetadataValue>
  if (template === undefined) delete metadata['tokenizer.chat_template']
  else metadata['tokenizer.chat_template'] = template
  return { path: '/a/toy.gguf', paths: ['/a/toy.gguf'], bytes: 0, version: 3, metadata, tensors: [] }
}
const hello: Message[] = [{ role: 'user', content: 'Hello' }]

describe('a chat template', function () {
  this.timeout(180_000)

  it('gives the golden prompts of the default model, and their ids', async () => {
    const model = await openModelFile((await defaultModel()).path)
    for (const { messages, addGenerationPrompt, text, ids } of chat) {
      const prompt = await model.chat(messages, { addGenerationPrompt })
      assert.equal(prompt, text)
      assert.deepEqual(Array.from(model.tokenizer.encode(prompt)), ids)
    }
    assert.equal(await model.chat(hello), await model.chat(hello, { addGenerationPrompt: true }))
  })

  it('of the toy works alike', async () => {
    const gguf = await readGguf(toyPath)
    const prompt = '<|im_start|>system\nA toy.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n'
    assert.equal(await renderChat(gguf, hello, { addGenerationPrompt: false }), prompt)
    assert.equal(await renderChat(gguf, hello), prompt + '<|im_start|>assistant\n')
  })

  it('knows the special tokens by name', async () => {
    assert.equal(
      await renderChat(withTemplate('{{ bos_token }}{{ messages[0].content }}{{ eos_token }}'), hello),
      '<|im_start|>Hello<|im_end|>',
    )
  })

  const badMessages: [unknown, RegExp][] = [
    [undefined, /at least one { role, content } for messages/],
    [[], /at least one/],
    ['Hello', /at least one .* received "Hello"/],
    [[null], /an object for messages\[0\]/],
    [[{ role: 'user' }], /a string for messages\[0\]\.content but received undefined/],
    [[{ role: '', content: 'x' }], /messages\[0\]\.role/],
    [[...hello, { role: 'user', content: 'x', name: 'me' }], /messages\[1\] has no option "name"/],
  ]
  for (const [messages, message] of badMessages)
    it(`refuses messages ${JSON.stringify(messages)}`, () =>
      assert.rejects(renderChat(withTemplate('x'), messages as Message[]), { code: 'invalid', message }))

  const badTemplates: [string, MetadataValue | undefined, string, RegExp][] = [
    ['is missing', undefined, 'unsupported', /\/a\/toy.gguf has no chat template.*text prompt/],
    ['is no text', 7, 'file', /tokenizer.chat_template = 7, expected a string/],
    ['cannot be parsed', '{% for x in %}', 'file', /cannot be read/],
    [
      'refuses the messages itself',
      "{{ raise_exception('roles must alternate') }}",
      'invalid',
      /refuses these messages \(roles must alternate\).*"user"/,
    ],
    ['calls what is not there', '{{ nothing() }}', 'file', /fails on these messages \('nothing' is undefined/],
    ['uses a filter that is not there', '{{ 1 | filesizeformat }}', 'unsupported', /uses the filter "filesizeformat"/],
    ['uses a test that is not there', '{{ 1 is escaped }}', 'unsupported', /uses the test "escaped"/],
    [
      'never ends',
      '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}',
      'file',
      /more than 5 s/,
    ],
    ['wants all the memory', '{% set n = range(1000000000) %}', 'file', /Range too big|more than 128 MB|more than 5 s/],
    [
      'nests without end',
      '{{ ' + '('.repeat(200_000) + '1' + ')'.repeat(200_000) + ' }}',
      'file',
      /cannot be read|more than 5 s/, // the second on a busy machine
    ],
  ]
  for (const [what, template, code, message] of badTemplates)
    it(`that ${what} is an error, nothing worse`, async () => {
      const before = process.memoryUsage.rss()
      await assert.rejects(renderChat(withTemplate(template), hello), { name: 'ZslabError', code, message })
      assert.ok(process.memoryUsage.rss() - before < 5e8)
    })

  it('refuses unknown options', () =>
    assert.rejects(renderChat(withTemplate('x'), hello, { addGeneration: true } as never), {
      code: 'invalid',
      message: /did you mean 'addGenerationPrompt'/,
    }))
})
