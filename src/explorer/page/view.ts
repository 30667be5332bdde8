/** What every part of a run's view is given, and how parts point at tokens. */
import type { Looks } from '../look.js'
import type { Selected } from '../selection.js'
import type { HeadsMeasured } from '../heads-measured.js'
import type { HeadStory } from '../story.js'
import type { Card } from './card.js'
import type { Paint } from './paint.js'
import type { OpenRun } from './unpack.js'
import type { Heads } from './heads.js'

export interface View {
  /** Which of the runs. */
  index: number
  open: OpenRun
  selected: Selected
  paint: Paint
  card: Card
  heads: Heads
  /** What heads were measured by. */
  measured: HeadsMeasured | undefined
}

/** The head that is chosen, where its events are at hand. */
export interface Chosen {
  story: HeadStory
  looks: Looks
  /** The step to show: the selected one, at most the run's last. */
  step: number
}
