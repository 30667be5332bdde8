/** The lab's colours for figures that bring none of their own; a figure that paints its background keeps everything as it is. */

/** `layout` with the colours of the theme that `node` is shown in, wherever the figure leaves them open. */
export function themed(layout, node) {
  if (layout.paper_bgcolor !== undefined || layout.template !== undefined) return layout
  const style = getComputedStyle(node)
  const color = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise
  const paper = color('--jp-layout-color0', '#ffffff')
  const ink = color('--jp-ui-font-color1', '#333333')
  const line = color('--jp-border-color2', '#dddddd')
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line }
  const template = {
    layout: {
      paper_bgcolor: paper,
      plot_bgcolor: paper,
      font: { color: ink },
      xaxis: axis,
      yaxis: axis,
      hoverlabel: { bgcolor: paper, font: { color: ink } },
    },
  }
  return { ...layout, template }
}
