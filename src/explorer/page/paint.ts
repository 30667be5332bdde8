/** The colours of src/figures for the theme that the page has now. */
import { colorOf, type Color, type Theme } from '../../figures/style.js'

export class Paint {
  theme: Theme = 'light'
  private readonly known = new Map<string, string>()

  /** Follows the page; true where it has another theme than before. */
  follow(): boolean {
    const theme = document.body.dataset.jpThemeLight === 'false' ? 'dark' : 'light'
    if (theme === this.theme) return false
    this.theme = theme
    this.known.clear()
    return true
  }

  of(color: Color): string {
    let found = this.known.get(color)
    if (!found) this.known.set(color, (found = colorOf(color, this.theme)))
    return found
  }
}
