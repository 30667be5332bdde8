/** Predictions to be drawn: they are arithmetic, so these are real ones. */
import { roofline } from '../../src/roofline/roofline.js'

export const ROOFLINES = {
  long: await roofline({ model: 'llama2-7b', context: 54 * 1024, keep: 0.05 }),
  // The full cache's line ends within the picture, and the two cross.
  small: await roofline({ model: 'smollm2-135m', context: 8192, budget: 512, batch: 64, device: 'rtx4090' }),
  several: await roofline({ model: 'llama3.1-70b', context: 2 ** 17, keep: 0.1, batch: 64, devices: 4, hosts: 2 }),
  // Neither fits at any context.
  nowhere: await roofline({ model: 'llama2-70b', context: 100, budget: 16, memory: 1e9 }),
  // Upkeep that never pays, far out.
  far: await roofline({ model: 'smollm2-1.7b', context: 2 ** 24, keep: 0.9, latency: 1e6 }),
}
