/** Sizes and themes of figures: what a builder may count on, and every colour that a figure uses. */
import { invalid, oneOf, options as checked } from '../expect.js'
import { MONO_ADVANCE } from './fonts/names.js'

export const SIZES = ['column', 'text', 'wide', 'talk'] as const
export type Size = (typeof SIZES)[number]
export const THEMES = ['light', 'dark'] as const
export type Theme = (typeof THEMES)[number]
export const WORDS = ['inside', 'caption'] as const
export type Words = (typeof WORDS)[number]

export interface StyleOptions {
  /**
   * column: 3.25 in wide, 8 pt; text: 5.5 in, 8.5 pt; wide: 6.75 in, 9 pt; talk: a slide of 13.33 × 7.5 in, 15 pt and more.
   * Default 'wide', with a width that of the first three which is nearest to it.
   */
  size?: Size
  /** Default 'light'. The background is painted, so either works on any page. */
  theme?: Theme
  /** Another width than the size's own, with its text: '5.5in', '14cm' or '396pt'. Not for 'talk'. */
  width?: string
  /** Where title, sentence and notes stand: 'inside' the picture (default), or in the 'caption' below it, which latex() drafts. */
  words?: Words
}
export const STYLE_OPTIONS = ['size', 'theme', 'width', 'words'] as const

/** Lengths in pixels, 96 to the inch. */
export interface Style {
  size: Size
  theme: Theme
  words: Words
  width: number
  /** A slide's height is fixed; elsewhere it follows from what is drawn. */
  height?: number
  /** Of the panels together where nothing else decides. */
  body: number
  margin: number
  title: number
  text: number
  small: number
  mono: number
  /** Whether the summary is drawn; figures of a paper's columns leave it to the caption below them (and to title and desc). */
  showSummary: boolean
  /** Only characters that our fonts have: others are spelt out as their codes. */
  spelt?: boolean
}

const PX_PER = { in: 96, cm: 96 / 2.54, pt: 96 / 72 }

const STYLES: Record<Size, Omit<Style, 'theme' | 'size' | 'words'>> = {
  column: { width: 312, body: 210, margin: 6, title: 11.5, text: 10.7, small: 10.7, mono: 9.4, showSummary: false },
  text: { width: 528, body: 240, margin: 8, title: 13.4, text: 11.4, small: 10.7, mono: 10, showSummary: false },
  wide: { width: 648, body: 280, margin: 12, title: 16, text: 12, small: 11, mono: 10.7, showSummary: true },
  talk: {
    width: 1280,
    height: 720,
    body: 480,
    margin: 32,
    title: 30,
    text: 20,
    small: 18,
    mono: 17,
    showSummary: true,
  },
}

export function styleOf(given: StyleOptions): Style {
  const width = given.width === undefined ? undefined : pixelsOf(given.width)
  const size = oneOf('size', given.size ?? (width === undefined ? 'wide' : nearest(width)), SIZES)
  const theme = oneOf('theme', given.theme ?? 'light', THEMES)
  const words = oneOf('words', given.words ?? 'inside', WORDS)
  const base = { size, theme, words, ...STYLES[size] }
  if (width === undefined) return base
  if (size === 'talk')
    throw invalid('width', 'no width with size talk, which is a slide', given.width, "use size 'wide'")
  const least = leastWidth(size)
  if (width < least || width > 1920)
    throw invalid(
      'width',
      `${(least / 96).toFixed(1)}in to 20in with size ${size}`,
      given.width,
      width < least && size !== 'column' ? "use size 'column', whose text is smaller" : undefined,
    )
  return { ...base, width }
}

/** Pixels of the narrowest figure with the size's text. */
export const leastWidth = (size: Size) => STYLES[size].width * 0.75

function pixelsOf(given: unknown): number {
  const match = typeof given === 'string' ? /^(\d+(?:\.\d+)?)(in|cm|pt)$/.exec(given) : null
  if (!match) throw invalid('width', "a length such as '5.5in', '14cm' or '396pt'", given)
  return Number(match[1]) * PX_PER[match[2] as keyof typeof PX_PER]
}

/** The size of figures in text whose own width is nearest. */
export const nearest = (width: number): Size =>
  (['column', 'text', 'wide'] as const).reduce((best, size) =>
    Math.abs(STYLES[size].width - width) < Math.abs(STYLES[best].width - width) ? size : best,
  )

/** The style part of a figure's options; the rest is the figure's own. */
export function styleOptions(name: string, given: unknown, own: readonly string[]): StyleOptions {
  const { size, theme, width, words } = checked(name, given, [...own, ...STYLE_OPTIONS]) as StyleOptions
  const chosen = { size, theme, width, words }
  styleOf(chosen)
  return chosen
}

export const charWidth = (style: Style) => style.mono * MONO_ADVANCE

/**
 * Roles that colours have in figures; 'shade:0.25' is a quarter of the way from paper to the strongest blue, 'on:X' what text on X
 * is set in. 'residual0' … 'residual4' repeat beyond five. 'ramp:0.25' is a place on cividis. */
export type Color = Fill | `on:${Fill}`
export type Fill = Role | `residual${number}` | `tint${number}` | `ramp:${number}` | `shade:${number}`
export type Role = 'paper' | 'ink' | 'muted' | 'faint' | 'held' | 'recent' | 'dropped' | 'flip' | 'calm' | Part
type Part = 'residual' | 'sink' | 'context' | 'queries' | 'bookkeeping' | 'spare'

/** Okabe and Ito's palette, the neutrals of each theme beside it. */
const HUES = ['#E69F00', '#009E73', '#CC79A7', '#F0E442', '#D55E00']
const LIGHT: Record<Role, string> = {
  paper: '#ffffff',
  ink: '#1b1b1f',
  muted: '#55565e',
  faint: '#dcdde2',
  held: '#1b1b1f',
  recent: '#0072B2',
  dropped: '#D55E00',
  flip: '#D55E00',
  calm: '#0072B2',
  residual: '#E69F00',
  sink: '#F0E442',
  context: '#3d3d45',
  queries: '#56B4E9',
  bookkeeping: '#009E73',
  spare: '#c9cad1',
}
const DARK: Record<Role, string> = {
  ...LIGHT,
  paper: '#15161a',
  ink: '#f1f1f3',
  muted: '#b0b1ba',
  faint: '#3a3b42',
  held: '#f1f1f3',
  recent: '#3b9bd9',
  flip: '#f08a4b',
  // In grey darker than residual.
  dropped: '#dd6420',
  calm: '#56B4E9',
  context: '#e4e4e8',
  spare: '#5c5d66',
}

const hex = (rgb: number[]) => `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`
const channels = (color: string) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16))
const mixed = (from: string, to: string, share: number) => {
  const [a, b] = [channels(from), channels(to)]
  return hex(a.map((part, i) => part + (b[i] - part) * share))
}

/** Cividis at eleven places, dark to light. */
const CIVIDIS = '#00224e #123570 #3b496c #575d6d #707173 #8a8678 #a59c74 #c3b369 #e1cc55 #f3db4a #fee838'.split(' ')
/** One hue, from the paper on, for shares where none of something must look like nothing. */
const SHADES: Record<Theme, string[]> = {
  light: ['#ffffff', '#b3d6ec', '#4f9fd0', '#0072B2', '#003f66'],
  dark: ['#15161a', '#0f3c59', '#1c6a9b', '#3b9bd9', '#cde8fa'],
}

/** The colour at `share` (0 … 1) of the way along `stops`. */
function along(stops: string[], share: number): string {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1)
  const low = Math.min(stops.length - 2, Math.floor(at))
  return mixed(stops[low], stops[low + 1], at - low)
}

export const RESIDUAL_HUES = HUES.length
/** How much of each hue is in its tint on white paper: printed in grey the first four are apart, too. */
const TINTED = [0.32, 0.55, 0.45, 0.4, 0.3]

/** '#rrggbb' of a role in a theme. tintN: a pale residualN, as a background. */
export function colorOf(color: Color, theme: Theme): string {
  const roles = theme === 'light' ? LIGHT : DARK
  if (color.startsWith('on:')) return inkOn(colorOf(color.slice(3) as Fill, theme))
  if (color in roles) return roles[color as Role]
  const [, kind, number] = /^(residual|tint|ramp:|shade:)(.+)$/.exec(color) ?? []
  const value = Number(number)
  if (kind === 'ramp:') return along(CIVIDIS, value)
  if (kind === 'shade:') return along(SHADES[theme], value)
  const hue = HUES[value % HUES.length]
  return kind === 'tint' ? mixed(roles.paper, hue, theme === 'light' ? TINTED[value % HUES.length] : 0.38) : hue
}

/** Black or white, whichever reads better on `background` ('#rrggbb'). */
export function inkOn(background: string): string {
  const [r, g, b] = channels(background).map((part) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? '#111111' : '#ffffff'
}
