/**
 * Lets the host process events while graphs run.
 *
 * On wasm and native a run blocks the thread and its promise resolves in a microtask, so a loop of runs
 * would never let a signal, a timer or a request be seen.
 */

/** Longest time without processing events; a pause costs about 10 µs, or 1 to 4 ms where only a timer can make one. */
const PATIENCE_MS = 25;
/** Most graphs without a pause, about a step of a small model: Cloudflare's clock does not advance while they run. */
const PATIENCE_RUNS = 32;

/** Makes a function to call before each graph; it pauses for events when the last pause was long ago. */
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
