/** What paper needs to know of a page (page.css uses it when the page is printed). */
const SHEET = 6.75 * 96 // px

/** Tables, and lines in columns: how far what is wider than a sheet must shrink to be whole on it. */
for (const wide of document.querySelectorAll('.jp-RenderedHTMLCommon table, .jp-RenderedText pre')) {
  const table = wide.tagName === 'TABLE'
  const own = wide.style.cssText
  wide.style.cssText += table
    ? `; width: ${SHEET}px; table-layout: auto; font-size: 8pt`
    : '; width: max-content; font-size: 7.5pt'
  const width = wide.offsetWidth
  wide.style.cssText = own
  // Lines that would be too small to read are broken instead.
  if (width > SHEET && (table || width * 0.8 < SHEET)) wide.style.setProperty('--shrunk', SHEET / width)
}

/** Code that may go on on the next sheet. */
for (const input of document.querySelectorAll('.jp-CodeCell .jp-Cell-inputWrapper'))
  if (input.textContent.trim().split('\n').length > 25) input.classList.add('zslab-long')
