/**
 * How large batches are.
 */

/** Pictures of one batch: more gain no speed on a CPU and cost memory. */
export const MAX_BATCH = 10;
