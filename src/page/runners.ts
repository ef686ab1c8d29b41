/**
 * What draws a request: the server, by a job or in one streamed answer, or this browser.
 */

import type { Api } from "./api.ts";
import type { BrowserRuns } from "./browser_run.ts";
import { decodePicture } from "./canvas.ts";
import type { ModelView } from "./contract.ts";
import type { Offer } from "./offer.ts";
import type { Runner, RunRequest } from "./run.ts";
import { serverRunner } from "./server_run.ts";
import { streamRunner } from "./stream_run.ts";

/** What runs are made of. */
export interface RunnerContext {
  readonly api: Api;
  readonly browser: BrowserRuns;
  /** What there is to ask for. */
  readonly offer: Offer;
}

/** The runner of a request for a model. */
export function runnerOf(
  { engine, edit }: RunRequest,
  { id, fingerprint, backend }: ModelView,
  { api, browser, offer }: RunnerContext,
): Runner {
  if (engine !== undefined) {
    const base = new URL("page/", document.baseURI).href;
    return browser.runner({ model: id, fingerprint, backend: engine, base });
  }
  const server = { api, backend: `the server, ${backend.description}`, decode: decodePicture };
  const hasJobs = offer.capabilities.routes.includes("POST /v1/jobs");
  return hasJobs && edit === undefined ? serverRunner(server) : streamRunner(server);
}
