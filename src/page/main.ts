/**
 * The page's own script: asks the server what it has, then makes what a person asks for.
 */

import { Api, ApiError } from "./api.ts";
import { BrowserRuns } from "./browser_run.ts";
import type { CapabilitiesView, ModelView, PlanView } from "./contract.ts";
import { byId, setText } from "./dom.ts";
import { FormView, type Offer } from "./form_view.ts";
import { keyDialog } from "./key_dialog.ts";
import { Playground } from "./playground.ts";

const api = new Api(keyDialog());
await start().catch((error: unknown) => {
  setText(byId("status", HTMLElement), error instanceof Error ? error.message : String(error));
  byId("stage", HTMLElement).dataset["phase"] = "failed";
});

async function start(): Promise<void> {
  const offer = await ask();
  const playground = new Playground({ api, browser: new BrowserRuns(api), offer });
  const form = new FormView(offer, () => playground.show());
  playground.open(form);
}

interface List<T> {
  readonly data: readonly T[];
}

async function ask(): Promise<Offer> {
  const models = await patiently(() => api.json<List<ModelView>>("/v1/models")); // it may ask for a key
  const [plans, capabilities] = await Promise.all([
    api.json<List<PlanView>>("/v1/plans"),
    api.json<CapabilitiesView>("/v1/capabilities"),
  ]);
  return { models: models.data, plans: plans.data, capabilities };
}

/** Asks again as long as the server says when: it may be loading its model. */
async function patiently<T>(asks: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await asks();
    } catch (error) {
      if (!(error instanceof ApiError) || error.retryAfter === undefined) throw error;
      setText(byId("status", HTMLElement), error.message);
      await new Promise((resolve) => setTimeout(resolve, error.retryAfter! * 1000)); // it is a number
    }
  }
}
