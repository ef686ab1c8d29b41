/**
 * FORA: every so many steps are computed, the others merge every module's last feature under fresh gates.
 *
 * *Source:* arXiv 2407.01425 and its published code, whose steps count down: the last step is always computed, and the
 * first stretch may be shorter than the others.
 */

import type { Policy } from "./policy.ts";
import { rowsReusing } from "./rows.ts";

const SETTINGS = {
  interval: { words: "steps from one computed step to the next", or: 3, least: 1, whole: true },
} as const;

/** The policy. */
export const FORA: Policy<typeof SETTINGS> = {
  words: "reuse features of all modules at a fixed interval",
  settings: SETTINGS,
  record: ({ steps, pipeline: { model: { transformer: { modules } } } }, { interval }) =>
    Promise.resolve({ rows: rowsReusing(countedDown(steps, interval), modules.length) }),
};

/** By step: whether it is computed. */
export function countedDown(steps: number, interval: number): readonly boolean[] {
  return Array.from({ length: steps }, (_, i) => i === 0 || (steps - 1 - i) % interval === 0);
}
