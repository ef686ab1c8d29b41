/**
 * Pictures made in this browser: the engine is fetched for the first one and kept for the next.
 */

import type { Api } from "./api.ts";
import type { BrowserEngine, BrowserEngineOptions } from "./engine.ts";
import type { Runner, RunOptions } from "./run.ts";

/** Runs the engine in this browser. */
export class BrowserRuns {
  #engine: { readonly key: string; readonly opened: Promise<BrowserEngine> } | undefined;

  /** Makes it; nothing is loaded yet. */
  constructor(readonly api: Api) {}

  /** A runner for these options. */
  runner(options: BrowserEngineOptions): Runner {
    return async (request, run) => {
      const engine = await this.#open(options, run);
      const plan = request.plan === undefined
        ? undefined
        : await this.api.json(`/v1/plans/${encodeURIComponent(request.plan)}`);
      try {
        return await engine.run(request, plan, run);
      } catch (error) {
        // The engine is another script, with a class of its own of that name.
        if (error instanceof Error && error.name === "BackendError") await this.#forget(engine);
        throw error;
      }
    };
  }

  /** Closes an engine whose device or worker failed; the next run opens another. */
  async #forget(engine: BrowserEngine): Promise<void> {
    this.#engine = undefined;
    await engine.close().catch(() => undefined);
  }

  async #open(options: BrowserEngineOptions, run: RunOptions): Promise<BrowserEngine> {
    const key = JSON.stringify(options);
    if (this.#engine?.key !== key) {
      await this.#engine?.opened.then((engine) => engine.close(), () => undefined); // one model in memory is enough
      const opened = load(options, run);
      this.#engine = { key, opened };
      opened.catch(() => { // the next run may have better luck
        if (this.#engine?.opened === opened) this.#engine = undefined;
      });
    }
    return await this.#engine!.opened;
  }
}

async function load(options: BrowserEngineOptions, run: RunOptions): Promise<BrowserEngine> {
  const url = `${options.base}engine.js`;
  const { openBrowserEngine }: typeof import("./engine.ts") = await import(url); // a file of its own beside the page
  return await openBrowserEngine(options, run);
}
