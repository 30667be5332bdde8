/** Elements and canvases in few words. */

type Attributes = Record<string, string | number | boolean | undefined>

/** An element with attributes (true: present, undefined or false: absent) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : String(value))
  made.append(...children)
  return made
}

/** A canvas that is as sharp as the screen, drawn in CSS pixels. */
export class Surface {
  readonly canvas = document.createElement('canvas')
  readonly context = this.canvas.getContext('2d')!
  width = 0
  height = 0

  constructor(className: string) {
    this.canvas.className = className
  }

  /** Empties it, in this size. */
  begin(width: number, height: number): CanvasRenderingContext2D {
    const scale = window.devicePixelRatio || 1
    const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))]
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w
      this.canvas.height = h
      this.canvas.style.height = `${height}px`
    }
    ;[this.width, this.height] = [width, height]
    this.context.setTransform(scale, 0, 0, scale, 0, 0)
    this.context.clearRect(0, 0, width, height)
    return this.context
  }

  /** Where the pointer is, in CSS pixels of the canvas. */
  place(event: MouseEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }
}
