/**
 * A renderer that is given up when it hangs: a GPU driver or a runtime that never answers would hold its jobs,
 * and those that wait for them, for ever.
 */

import { BackendError } from "../errors.ts";
import type { Batch, Rendered, Renderer, RendererCounts, RenderOptions } from "./renderer.ts";

/**
 * Watches a renderer.
 *
 * @param seconds Longest time from one step's end to the next; the first of a batch, and what follows its last,
 *   have as much, loading and encoding included.
 */
export function watchRenderer(renderer: Renderer, seconds: number): Renderer {
  return new WatchedRenderer(renderer, seconds);
}

class WatchedRenderer implements Renderer {
  constructor(readonly renderer: Renderer, readonly seconds: number) {}

  get facts(): Renderer["facts"] {
    return this.renderer.facts;
  }

  async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let giveUp = (_: BackendError): void => {};
    const late = new Promise<never>((_, reject) => giveUp = reject);
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => giveUp(hung(this.seconds)), this.seconds * 1000);
    };
    wait();
    const rendering = this.renderer.render(batch, {
      ...options,
      onStep: (step) => {
        wait();
        options.onStep?.(step);
      },
    });
    try {
      return await Promise.race([rendering, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  counts(): Promise<RendererCounts> {
    return this.renderer.counts();
  }

  close(): Promise<void> {
    return this.renderer.close();
  }
}

function hung(seconds: number): BackendError {
  return new BackendError(`Cannot go on: a step must end within ${seconds} s.`);
}
