/** A strict reader of the XML that svg files need: throws at the first thing that is not well formed. */
export interface Element {
  name: string
  attributes: Record<string, string>
  children: Element[]
  text: string
}

const NAME = /[A-Za-z_][\w:.-]*/y
const FORBIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

export function parseXml(source: string): Element {
  const bad = FORBIDDEN.exec(source)
  if (bad) throw new Error(`forbidden character U+${bad[0].charCodeAt(0).toString(16)} at ${bad.index}`)
  let at = 0
  const fail = (what: string): never => {
    throw new Error(`${what} at ${at}: ${source.slice(at, at + 40)}`)
  }
  const expect = (text: string) => (source.startsWith(text, at) ? (at += text.length) : fail(`expected ${text}`))
  const name = (): string => {
    NAME.lastIndex = at
    const found = NAME.exec(source)?.[0] ?? fail('expected a name')
    at += found.length
    return found
  }
  const space = () => {
    while (/\s/.test(source[at] ?? '')) at++
  }
  const decoded = (raw: string) => {
    if (raw.includes('<')) fail('a bare <')
    return raw.replace(/&([^;]*;?)/g, (_, entity: string) => {
      const known: Record<string, string> = { 'amp;': '&', 'lt;': '<', 'gt;': '>', 'quot;': '"' }
      return known[entity] ?? fail(`a bare & or an unknown entity &${entity}`)
    })
  }
  const element = (): Element => {
    expect('<')
    const made: Element = { name: name(), attributes: {}, children: [], text: '' }
    for (space(); /[A-Za-z_]/.test(source[at] ?? ''); space()) {
      const key = name()
      expect('="')
      const end = source.indexOf('"', at)
      if (end < 0) fail('an open attribute')
      if (key in made.attributes) fail(`attribute ${key} twice`)
      made.attributes[key] = decoded(source.slice(at, end))
      at = end + 1
      if (!/[\s/>]/.test(source[at] ?? '')) fail('no space after an attribute')
    }
    if (source.startsWith('/>', at)) {
      at += 2
      return made
    }
    expect('>')
    while (!source.startsWith('</', at)) {
      if (at >= source.length) fail(`<${made.name}> is not closed`)
      if (source[at] === '<') made.children.push(element())
      else {
        const end = source.indexOf('<', at)
        if (end < 0) fail(`<${made.name}> is not closed`)
        made.text += decoded(source.slice(at, end))
        at = end
      }
    }
    expect('</')
    expect(made.name)
    expect('>')
    return made
  }
  const root = element()
  space()
  if (at < source.length) fail('something after the root')
  return root
}

export function all(root: Element, name: string): Element[] {
  return [...(root.name === name ? [root] : []), ...root.children.flatMap((child) => all(child, name))]
}
