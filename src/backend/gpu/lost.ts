/**
 * The error of a device that is gone.
 */

import { BackendError } from "../../errors.ts";

const LOST = "Cannot compute on the GPU: its device was lost";

/** Says that a device was lost, and why. */
export function deviceLost(why: string): BackendError {
  return new BackendError(`${LOST} (${why}). Open the pipeline again.`);
}

/** Whether an error says so; one from a worker, too, of which nothing but the words arrives. */
export function isDeviceLost(error: unknown): boolean {
  return error instanceof BackendError && error.message.startsWith(LOST);
}
