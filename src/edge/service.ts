/**
 * The server for Deno's and Bun's own ways of serving: configured by the environment, ended by a signal.
 */

import process from "node:process";
import { silenceWayland } from "../backend/adapter.ts";
import type { BackendName } from "../backend/backend.ts";
import { BACKENDS } from "../backend/select.ts";
import { type App, createApp } from "../server/app.ts";
import type { AppOptions } from "../server/app_options.ts";
import { isLoopback, OPEN_TO_ALL } from "../server/loopback.ts";
import { parseKeys } from "../server/key_list.ts";
import { openLocalRenderer } from "../worker/local_renderer.ts";
import { readPictureConditions } from "../worker/picture_conditions.ts";
import { canStartWorkers, openRemoteRenderer } from "../worker/remote_renderer.ts";
import type { Renderer } from "../worker/renderer.ts";

/** Seconds that running jobs have after a signal; Deno Deploy gives 5. */
const GRACE_SECONDS = 4;

/**
 * Makes the server. Environment: `INVARDIFF_MODEL` is a directory, file or URL, the embedded model unless
 * given; `INVARDIFF_CONDITIONS` a file of text features to choose from, for a text-conditioned model;
 * `INVARDIFF_BACKEND` a provider's name, `auto` unless given; `INVARDIFF_API_KEYS` a list of keys, separated by
 * commas, each of 16 letters or more, one of which clients must present.
 *
 * It generates in a worker where the runtime has workers, and loads at once; SIGTERM and SIGINT end the process
 * when running requests are done.
 *
 * @param options.host The address that is listened on, where it is known: without keys, it says whom to let in.
 * @throws {TypeError} When there is no provider of that name.
 * @throws {AssetError} When a key is not one.
 */
export function startService({ host }: { readonly host?: string } = {}): App {
  silenceWayland();
  const { INVARDIFF_MODEL: model, INVARDIFF_CONDITIONS: file } = process.env;
  const { INVARDIFF_BACKEND, INVARDIFF_API_KEYS } = process.env;
  const apiKeys = parseKeys(INVARDIFF_API_KEYS, "INVARDIFF_API_KEYS");
  const backend = providerOf(INVARDIFF_BACKEND || "auto");
  const open = async (): Promise<Renderer> => {
    const conditions = file ? await readPictureConditions(file) : undefined;
    const options = { backend, conditions, ...(model && { model }) };
    return await (canStartWorkers() ? openRemoteRenderer(options) : openLocalRenderer(options));
  };
  const renderers = open().then((one) => [one]);
  renderers.catch((error) => console.error("error while the model was opened:", error));
  const app = createApp({
    renderers,
    reopen: (failed) => failed.close().then(open, open), // it failed: what it says now is of no use
    apiKeys,
    ...(host !== undefined && apiKeys.length === 0 && openTo(host)),
    onError: (error, id) => console.error(`error in request ${id}:`, error),
  });
  const stop = async (): Promise<void> => {
    await app.drain(AbortSignal.timeout(GRACE_SECONDS * 1000));
    process.exit(0); // with the renderer and its thread
  };
  void app.loaded.then(() => { // before, they end the process on the spot: nothing was begun
    for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => void stop());
  });
  return app;
}

/** Without keys: warns where others reach the server, else keeps names out that others turn to it. */
function openTo(host: string): Pick<AppOptions, "hosts"> {
  if (isLoopback(host)) return { hosts: [] };
  console.error(`${OPEN_TO_ALL}INVARDIFF_API_KEYS sets keys`);
  return {};
}

function providerOf(name: string): BackendName | "auto" {
  const known = (["auto", ...BACKENDS] as const).find((one) => one === name);
  if (known !== undefined) return known;
  throw new TypeError(
    `Cannot serve: INVARDIFF_BACKEND must be auto, ${
      BACKENDS.join(", ")
    }: current value is ${name}`,
  );
}
