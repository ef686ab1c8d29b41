/**
 * `serve`: the HTTP server, until it is told to stop.
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { coreCount } from "../backend/platform.ts";
import { bundledPlans, loadPlan, type NamedPlan } from "../engine/bundled_plans.ts";
import { EMBEDDED_ID, EMBEDDED_MODEL } from "../engine/embedded_model.ts";
import { openAddress } from "../server/address.ts";
import { createApp } from "../server/app.ts";
import type { AppOptions } from "../server/app_options.ts";
import type { OpenQueue } from "../server/job_queue.ts";
import type { AccessEntry, JobEntry } from "../server/log_entries.ts";
import { isLoopback, OPEN_TO_ALL } from "../server/loopback.ts";
import { directoryAssets } from "../server/page_assets.ts";
import { rateOf } from "../server/rates.ts";
import { openLocalRenderer } from "../worker/local_renderer.ts";
import { type PictureConditions, readPictureConditions } from "../worker/picture_conditions.ts";
import { canStartWorkers, openRemoteRenderer } from "../worker/remote_renderer.ts";
import type { Renderer } from "../worker/renderer.ts";
import { watchRenderer } from "../worker/watchdog.ts";
import { readKeys } from "./api_keys.ts";
import { readPlan } from "./plan_file.ts";
import { modelOptions } from "./open.ts";
import { queueOf, type ServeCommand } from "./serve_options.ts";

/** Seconds that running jobs have when the server is told to stop. */
const GRACE_SECONDS = 30;

/** Runs the command; returns when the server was told to stop and what it began is done. */
export async function serve(command: ServeCommand, signal: AbortSignal): Promise<void> {
  const apiKeys = await readKeys(command.apiKeyFile);
  const { plans, defaultPlan } = await plansOf(command);
  const conditions = command.conditions === undefined
    ? undefined
    : await readPictureConditions(command.conditions);
  const shared = await sharedQueue(command);
  const address = await openAddress(command.host, command.port); // before models are loaded in vain
  const open = (): Promise<Renderer> => openRenderer(command, conditions);
  try {
    const renderers = command.role === "api" ? Promise.resolve([]) : openAll(command, open);
    const app = createApp({
      renderers,
      queue: shared,
      takesRequests: command.role !== "worker",
      reopen: (failed) => failed.close().then(open, open), // it failed: what it says now is of no use
      plans,
      defaultPlan,
      apiKeys,
      ...builtPage(),
      ...boundsOf(command),
      ...(apiKeys.length === 0 && isLoopback(command.host) && { hosts: hostsOf(command) }),
      ...(!command.quiet && { log: writeEntry, logJob: writeEntry }),
      onError: (error, id) => void process.stderr.write(`error in request ${id}: ${told(error)}\n`),
    });
    address.answer(app.fetch);
    say(`listening on ${address.url}`);
    if (apiKeys.length === 0 && !isLoopback(command.host)) {
      say(`${OPEN_TO_ALL}--api-key-file sets keys`);
    }
    const first = await loaded(renderers, signal);
    const stopped = toldToStop(signal); // before anyone hears that it is ready
    say(first === undefined ? "workers draw" : drawnBy(first));
    await stopped;
    say("stopping: no new jobs; waiting for those that were begun");
    await app.drain(AbortSignal.timeout(GRACE_SECONDS * 1000));
  } finally {
    await address.close();
  }
}

/** Names by which a proxy of this machine hands requests on. */
function hostsOf({ publicUrl }: ServeCommand): readonly string[] {
  return publicUrl === undefined ? [] : [new URL(publicUrl).hostname];
}

/** The engine for the browser, where `deno task build:page` made it; a package from a registry has none. */
function builtPage(): Pick<AppOptions, "page"> {
  const folder = new URL("../../dist/page/", import.meta.url);
  if (folder.protocol !== "file:" || !existsSync(new URL("engine.js", folder))) return {};
  return { page: directoryAssets(folder, { [EMBEDDED_ID]: EMBEDDED_MODEL }) };
}

/** Everything that a request may be bounded by, as far as it was asked for. */
function boundsOf(
  { rate, cors, allowFrame, publicUrl, queueLimit, maxSteps, deadline }: ServeCommand,
): Partial<AppOptions> {
  return {
    rateLimit: rate === undefined ? rate : rateOf(rate),
    corsOrigins: cors,
    frameOrigins: allowFrame,
    publicUrl,
    limits: { queue: queueLimit, steps: maxSteps, deadlineSeconds: deadline },
  };
}

/** The bundled plans, and the one that a file holds. */
async function plansOf(
  { plan }: ServeCommand,
): Promise<{ readonly plans: readonly NamedPlan[]; readonly defaultPlan: string }> {
  const bundled = bundledPlans.map((name) => ({ name, plan: loadPlan(name) }));
  if (plan === "auto" || plan === "none") return { plans: bundled, defaultPlan: plan };
  const named = await readPlan(plan);
  const known = bundled.some(({ name }) => name === named.name);
  return { plans: known ? bundled : [...bundled, named], defaultPlan: named.name };
}

/**
 * The first of the renderers, where this process draws, when all are there. Until then SIGTERM is not ours and ends
 * the process on the spot: a thread cannot be stopped in the middle of loading, and does not bear that the process
 * is cleared up.
 */
async function loaded(
  renderers: Promise<readonly Renderer[]>,
  signal: AbortSignal,
): Promise<Renderer | undefined> {
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const [first] = await Promise.race([renderers, interrupted]);
  return first;
}

function drawnBy({ facts: { id, backend } }: Renderer): string {
  return `${id} on ${backend.description}: ${backend.reason}`;
}

/** The queue that servers share, if one was asked for; who asks for none loads none of its packages. */
async function sharedQueue(
  { queue, lease, results }: ServeCommand,
): Promise<OpenQueue | undefined> {
  const url = queueOf(queue);
  if (url === undefined) return undefined;
  const { openQueueAt } = await import("../server/cluster/queue_at.ts");
  const shared = await openQueueAt({
    ...{ url, results },
    lease: { lockDuration: lease * 1000, stalledInterval: lease * 500 },
    onWarning: (sentence) => say(`warning: ${sentence}`),
  });
  say(`jobs wait at ${shared.address}`);
  return shared;
}

/** Resolves on SIGTERM, or when the signal is aborted (SIGINT). */
function toldToStop(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Opens as many as were asked for, in turn: that takes less memory at once. */
async function openAll(
  { workers }: ServeCommand,
  open: () => Promise<Renderer>,
): Promise<readonly Renderer[]> {
  const renderers = [await open()];
  while (renderers.length < workers) renderers.push(await open());
  return renderers;
}

/**
 * Opens a renderer, in a worker unless told otherwise. It is not closed at the end: its thread ends with the
 * process, since a thread that unloads its GPU driver while the process ends makes it crash now and then.
 */
async function openRenderer(
  command: ServeCommand,
  conditions: PictureConditions | undefined,
): Promise<Renderer> {
  const share = Math.floor(await coreCount() / Math.max(1, command.workers));
  const threads = command.threads ?? Math.max(1, share);
  const options = { ...modelOptions(command), conditions, threads };
  const renderer = command.workers > 0 && canStartWorkers()
    ? await openRemoteRenderer(options)
    : await openLocalRenderer(options);
  return watchRenderer(renderer, command.stepDeadline);
}

/** One line of JSON each. */
function writeEntry(entry: AccessEntry | JobEntry): void {
  process.stdout.write(JSON.stringify(entry) + "\n");
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function told(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
