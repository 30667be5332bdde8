/** AdaKV, around another policy: the context slots of a layer's kv heads go to the highest scores, whichever head they are in. */
import { number } from '../expect.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface AdakvValues {
  /** Share of its budget that each kv head is sure of; what it always keeps counts. */
  floor: number
}

export const definition = define<AdakvValues>({
  name: 'adakv',
  about:
    'shares the slots of a layer out among its kv heads by the scores of the policy it works on (arXiv 2407.11550)',
  wraps: true,
  options: {
    floor: {
      about: 'what each kv head is sure of',
      unit: 'share of the budget',
      check: (value) => number('floor', value, 0, 1),
    },
  },
  presets: { '': { floor: 0.2 } },
  parameters: { floor: ['float64', (o) => o.floor] },
  citation: `@article{adakv,
  title = {{Ada-KV}: Optimizing {KV} Cache Eviction by Adaptive Budget Allocation for Efficient {LLM} Inference},
  author = {Feng, Yuan and Lv, Junlin and Cao, Yukun and Xie, Xike and Zhou, S. Kevin},
  journal = {arXiv preprint arXiv:2407.11550},
  year = {2024}
}`,
})

export interface AdakvOptions extends Partial<AdakvValues> {
  /** What chooses within a head; its budget is the mean of all heads. Of policies whose heads choose by scores of their own. */
  of: Policy
}

/**
 * Budgets by kv head, fixed once the prompt has been read: per layer budget · kvHeads slots in all; recent, residual and sink stay per
 * head, the context is pooled. Errors: 'invalid' for a policy whose slots cannot be shared out, with the reason.
 */
export function adakv(options: AdakvOptions): Policy {
  return makePolicy(definition, options)
}
