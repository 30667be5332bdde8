/** The passport of the chosen kv head: each measure of its query heads, and its place among all heads. A measure's name colours the grid by it. */
import { element } from './dom.js'
import type { View } from './view.js'

export class Passport {
  readonly node = element('details', { class: 'zsx-passport' })
  private readonly title = element('summary')
  private readonly habits = element('div')
  private readonly table = element('table')
  private drawn = ''

  constructor(private readonly view: View) {
    const scrolls = { class: 'zsx-lineage', tabindex: 0, role: 'region', 'aria-label': 'Measures of the head' }
    this.node.append(this.title, this.habits, element('div', scrolls, this.table))
    this.node.addEventListener('click', (event) => {
      const { measure } = (event.target as HTMLElement).dataset
      if (measure !== undefined) view.selected.change({ measure: view.selected.now.measure === measure ? '' : measure })
    })
  }

  draw(): void {
    const { measured, selected, paint } = this.view
    if (!measured) return
    const { layer, kvHead, measure } = selected.now
    const state = `${layer} ${kvHead} ${measure} ${paint.theme}`
    if (state === this.drawn) return
    this.drawn = state
    this.title.textContent = `passport of layer ${layer}, kv head ${kvHead}`
    this.habits.replaceChildren(
      ...measured.habits(layer, kvHead).map((line) => element('div', { class: 'zsx-line' }, line)),
    )
    const heads = measured.groupAt(layer, kvHead).map((at) => at % (measured.group * this.view.open.run.kvHeads))
    const names = ['measure', ...heads.map((head) => `query head ${head}`), 'unit']
    const rows = measured.passport(layer, kvHead).map((row) =>
      element(
        'tr',
        {},
        element(
          'td',
          {},
          element(
            'button',
            {
              class: 'zsx-member',
              type: 'button',
              'data-measure': row.name,
              'aria-pressed': String(row.name === measure),
            },
            row.name,
          ),
        ),
        ...row.heads.map(({ value, place, share }) =>
          element(
            'td',
            {
              colspan: row.own ? measured.group : undefined,
              style: `background:linear-gradient(to right, ${paint.of('faint')} ${(100 * share).toFixed(1)}%, transparent 0)`,
            },
            value,
            element('span', { class: 'zsx-muted' }, place && ` · ${place}`),
          ),
        ),
        element('td', { class: 'zsx-muted' }, row.unit),
      ),
    )
    this.table.replaceChildren(
      element('thead', {}, element('tr', {}, ...names.map((name) => element('th', { scope: 'col' }, name)))),
      element('tbody', {}, ...rows),
    )
  }
}
