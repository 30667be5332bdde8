/** Draws the vega and vega-lite specs of an exported page; what cannot be drawn stays the line of text that it was. */
for (const place of document.querySelectorAll('.zslab-vega')) {
  const line = place.querySelector('pre')
  const spec = JSON.parse(place.querySelector('script').textContent)
  const target = place.appendChild(document.createElement('div'))
  const refused = new Set()
  const tell = (uri) => {
    if (refused.has(uri)) return
    refused.add(uri)
    line.append(`\nnot drawn: ${uri}. A page fetches nothing: put what is there into the spec (data.values)`)
  }

  // Of a spec's own options for this library, those that name nothing outside the page.
  const { theme, config, renderer } = spec.usermeta?.embedOptions ?? {}
  const options = { theme, config: typeof config === 'object' ? config : undefined, renderer }
  spec.usermeta = { embedOptions: JSON.parse(JSON.stringify(options)) }

  const loader = vega.loader()
  loader.sanitize = async (uri, asked) => {
    if (asked?.context === 'href' || /^data:/i.test(uri)) return { href: uri, target: '_blank' }
    tell(uri)
    throw new Error(`${uri} is not in this page`)
  }
  const actions = { export: true, source: false, compiled: false, editor: false }
  vegaEmbed(target, spec, { loader, actions, mode: place.dataset.mode }).then(
    () => refused.size || line.remove(),
    (error) => line.append(` could not be drawn: ${error.message}`),
  )
}
