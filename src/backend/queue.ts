/**
 * The one process-wide queue for WebGPU.
 *
 * Overlapping `create` and `run` calls on WebGPU hang without an error (onnxruntime-web 1.30), whatever
 * session they belong to; so there is one queue for the process, the only global state of this library.
 */

let last: Promise<unknown> = Promise.resolve();

/** Runs tasks one after another, in the order of the calls; a failed task does not stop the next. */
export function inTurn<T>(task: () => Promise<T>): Promise<T> {
  const turn = last.then(task, task);
  last = turn.catch(() => undefined);
  return turn;
}
