/**
 * The interval of a median by order statistics, which holds whatever the distribution.
 */

/** Largest rank, from 0, whose order statistics from both ends hold the median with at least 95 %. */
export function lowerRank(n: number): number {
  let below = 0;
  let exactly = 2 ** -n; // chance that k of n lie below the median
  for (let k = 0;; k++) {
    below += exactly;
    if (below > 0.025) return Math.max(0, k - 1);
    exactly *= (n - k) / (k + 1);
  }
}
