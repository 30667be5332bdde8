/** Draws the plotly specs of an exported page; what cannot be drawn stays the line of text that it was. */
for (const place of document.querySelectorAll('.zslab-plotly')) {
  const line = place.querySelector('pre')
  const { data, layout = {}, config = {}, frames } = JSON.parse(place.querySelector('script').textContent)
  const target = place.appendChild(document.createElement('div'))
  const sized = layout.width === undefined ? { ...layout, autosize: true } : layout
  Promise.resolve()
    .then(() =>
      Plotly.newPlot(target, {
        data,
        layout: sized,
        config: { displaylogo: false, responsive: true, ...config },
        ...(frames ? { frames } : {}),
      }),
    )
    .then(
      () => line.remove(),
      (error) => line.append(` could not be drawn: ${error.message}`),
    )
}
