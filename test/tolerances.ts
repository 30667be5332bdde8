/**
 * How far results may be from what judges them, and why. Whole numbers (positions, slots, victims, targets, token ids, weights) are
 * always compared exactly; the native judges (native/test) use the same figures.
 */
export const TOLERANCES = {
  /** Keys, values and attention outputs of float32 against float64, absolute: inputs are of size 1, float32 itself is off by 1e-6. */
  element: 1e-5,
  /** Scores, times max(1, |score|): sums of many probabilities; float32 itself is off by 2e-6. */
  score: 1e-5,
  /** Logits with float32 weights against transformers: float32 against float64 differs by 1e-4, rotary angles by up to 8e-4. */
  logit: 2e-3,
  /** Mean KL divergence of bfloat16 against float32 weights, in nats. */
  meanKl: 1e-3,
} as const
