/**
 * The page's own script: asks the server what it has, then makes what a person asks for.
 */

import { Api } from "./api.ts";
import { BrowserRuns } from "./browser_run.ts";
import type { CapabilitiesView, ModelView, PlanView } from "./contract.ts";
import { byId, setText } from "./dom.ts";
import { takeDrops } from "./drop_target.ts";
import { keepForm, recallForm } from "./form_memory.ts";
import { FormView } from "./form_view.ts";
import { HistoryStore } from "./history_store.ts";
import { keyDialog } from "./key_dialog.ts";
import type { Offer } from "./offer.ts";
import { patiently } from "./patiently.ts";
import { Playground } from "./playground.ts";
import { followScheme } from "./scheme.ts";
import { IDLE, reduce, statusLine } from "./state.ts";

const status = byId("status", HTMLElement);
followScheme();
const api = new Api(keyDialog());
await start().catch((error: unknown) => {
  setText(status, error instanceof Error ? error.message : String(error));
  byId("stage", HTMLElement).dataset["phase"] = "failed";
});

async function start(): Promise<void> {
  const [offer, history] = await Promise.all([ask(), HistoryStore.open()]);
  const form = new FormView(offer);
  recallForm(form);
  const playground = new Playground(form, { api, browser: new BrowserRuns(api), offer, history });
  form.onChange = () => {
    keepForm(form);
    playground.show();
  };
  takeDrops((files) => void playground.drop(files));
  playground.open();
}

interface List<T> {
  readonly data: readonly T[];
}

async function ask(): Promise<Offer> {
  const { signal } = new AbortController(); // nobody stops it
  const models = await patiently(
    () => api.json<List<ModelView>>("/v1/models"), // the model may be loading, and it may ask for a key
    { signal, onEvent: (event) => setText(status, statusLine(reduce(IDLE, event))) },
  );
  const [plans, capabilities] = await Promise.all([
    api.json<List<PlanView>>("/v1/plans"),
    api.json<CapabilitiesView>("/v1/capabilities"),
  ]);
  return { models: models.data, plans: plans.data, capabilities };
}
