/**
 * A renderer that is opened again after its GPU was lost: by a driver that began anew, or a browser that took it away.
 */

import { isDeviceLost } from "../backend/gpu/lost.ts";
import type { Batch, Rendered, Renderer, RendererCounts, RenderOptions } from "./renderer.ts";

/** Opens a renderer, and another one for the first batch after its GPU was lost. */
export async function reopened(
  first: Promise<Renderer>,
  openAnother: () => Promise<Renderer>,
): Promise<Renderer> {
  return new Reopened(await first, openAnother);
}

class Reopened implements Renderer {
  readonly facts: Renderer["facts"];
  #opened: Promise<Renderer>;
  /** The renderer whose GPU is gone. */
  #lost: Renderer | undefined;

  constructor(renderer: Renderer, readonly openAnother: () => Promise<Renderer>) {
    this.facts = renderer.facts;
    this.#opened = Promise.resolve(renderer);
  }

  async render(batch: Batch, options?: RenderOptions): Promise<Rendered> {
    const renderer = await this.#sound();
    try {
      return await renderer.render(batch, options);
    } catch (error) {
      if (isDeviceLost(error)) this.#lost = renderer;
      throw error;
    }
  }

  async counts(): Promise<RendererCounts> {
    return await (await this.#opened).counts();
  }

  async close(): Promise<void> {
    await (await this.#opened).close();
  }

  async #sound(): Promise<Renderer> {
    const opened = this.#opened;
    const renderer = await opened;
    if (renderer !== this.#lost) return renderer;
    if (this.#opened === opened) {
      const another = renderer.close().catch(() => undefined).then(this.openAnother);
      this.#opened = another;
      another.catch(() => void (this.#opened = opened)); // the next batch may have better luck
    }
    return await this.#opened;
  }
}
