/**
 * The quantile function of the beta distribution with both parameters 0.6.
 *
 * *Source:* Lee et al., arXiv 2407.12173, whose parameters these are; the continued fraction of Numerical Recipes, §6.4.
 */

const SHAPE = 0.6;
/** B(0.6, 0.6), the integral over the whole density. */
const WHOLE = 2.4153442080024723;

/** The x below which a share of the distribution lies. */
export function betaQuantile(share: number): number {
  if (share <= 0 || share >= 1) return Math.min(1, Math.max(0, share));
  let [low, high] = [0, 1];
  for (let i = 0; i < 100; i++) { // halves: more often than there are bits
    const middle = (low + high) / 2;
    if (shareBelow(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The regularized incomplete beta function; symmetric, as both parameters are the same. */
function shareBelow(x: number): number {
  if (x > 0.5) return 1 - shareBelow(1 - x);
  return (x * (1 - x)) ** SHAPE / (SHAPE * WHOLE) * continuedFraction(x);
}

/** Lentz's method; converges fast for x below a half. */
function continuedFraction(x: number): number {
  const safe = (value: number): number => Math.abs(value) < 1e-300 ? 1e-300 : value;
  let c = 1;
  let d = 1 / safe(1 - 2 * SHAPE * x / (SHAPE + 1));
  let result = d;
  for (let m = 1; m <= 200; m++) {
    const two = 2 * m;
    const even = m * (SHAPE - m) * x / ((SHAPE + two - 1) * (SHAPE + two));
    const odd = -(SHAPE + m) * (2 * SHAPE + m) * x / ((SHAPE + two) * (SHAPE + two + 1));
    for (const term of [even, odd]) {
      d = 1 / safe(1 + term * d);
      c = safe(1 + term / c);
      result *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return result;
}
