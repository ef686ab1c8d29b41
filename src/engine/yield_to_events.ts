/**
 * Letting the host's events through while graphs run.
 *
 * On wasm and native a run blocks the thread and its promise resolves in a microtask, so a loop of runs
 * would never let a signal, a timer or a request be seen.
 *
 * @module
 */

/** Longest time without a look at events; a pause costs some 10 µs, a timer where that is all there is 1 to 4 ms. */
const PATIENCE_MS = 25;
/** Most graphs without a look: Cloudflare's clock stands still while they run. About a step of a small model. */
const PATIENCE_RUNS = 32;

/** Makes a function, to be called ahead of each graph, that pauses for events when the last pause is long ago. */
export function eventYielder(): () => Promise<void> {
  let last = performance.now();
  let runs = 0;
  return async () => {
    if (++runs < PATIENCE_RUNS && performance.now() - last < PATIENCE_MS) return;
    await new Promise<void>((resolve) => {
      if (typeof setImmediate === "function") setImmediate(resolve);
      else setTimeout(resolve, 0);
    });
    last = performance.now();
    runs = 0;
  };
}
