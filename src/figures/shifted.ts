/** A place on a surface: what is drawn on it is drawn there. */
import type { Shape } from './plot.js'
import type { Box, BoxOptions, Surface, TextOptions } from './surface.js'

export class Shifted implements Surface {
  constructor(
    private readonly to: Surface,
    private readonly left: number,
    private readonly top: number,
  ) {}

  boxes(boxes: Box[], color: string, options?: BoxOptions): void {
    this.to.boxes(
      boxes.map((box) => this.box(box)),
      color,
      options,
    )
  }

  line(points: [number, number][], color: string, width: number, dash?: boolean): void {
    this.to.line(this.all(points), color, width, dash)
  }

  points(points: [number, number][], shape: Shape, color: string, diameter: number): void {
    this.to.points(this.all(points), shape, color, diameter)
  }

  text(text: string, x: number, y: number, options: TextOptions): void {
    this.to.text(text, x + this.left, y + this.top, options)
  }

  image(box: Box, draw: (surface: Surface) => void): void {
    this.to.image(this.box(box), (surface) => draw(new Shifted(surface, this.left, this.top)))
  }

  private all(points: [number, number][]): [number, number][] {
    return points.map(([x, y]) => [x + this.left, y + this.top])
  }

  private box({ left, top, right, bottom }: Box): Box {
    return { left: left + this.left, top: top + this.top, right: right + this.left, bottom: bottom + this.top }
  }
}
