/**
 * The engine in this browser: the same as on the server, in a web worker. Built as a file of its own, which
 * the page loads when somebody wants it.
 */

import { findAdapter } from "../backend/adapter.ts";
import { runtimeBinary } from "../backend/runtime_files.ts";
import { stepsLeft } from "../engine/begin.ts";
import { type EditRecord, maskDigest, pictureDigest, stepsLeftOut } from "../engine/edit_facts.ts";
import { recordOf, recordText } from "../engine/picture_record.ts";
import { lengthNotices } from "../engine/prompt_notices.ts";
import { BackendError } from "../errors.ts";
import { encodePng } from "../image/png.ts";
import { type Picture, toPictures } from "../image/picture.ts";
import { readHeaderWithin } from "../image/picture_header.ts";
import { decodePng } from "../image/png_decode.ts";
import type { StepKind } from "../plan/compile.ts";
import { kindOf } from "../plan/step_counts.ts";
import { chooseSampler } from "../sampler/choose_sampler.ts";
import { planFromJson } from "../plan/parse.ts";
import type { Plan } from "../plan/plan.ts";
import { openRemoteRenderer } from "../worker/remote_renderer.ts";
import type { Batch, Rendered, Renderer, RendererFacts } from "../worker/renderer.ts";
import { decodePicture } from "./canvas.ts";
import { MODEL_FILES, RUNTIME_FOLDER } from "./contract.ts";
import { downloadAll, type FileStore } from "./download.ts";
import { pixelsOf } from "./pixels.ts";
import type { BrowserBackend, RunEdit, RunOptions, RunRequest, RunResult } from "./run.ts";

/** What to open. */
export interface BrowserEngineOptions {
  readonly model: string;
  /** Identity of its weights: kept files of others are not taken. */
  readonly fingerprint: string;
  readonly backend: BrowserBackend;
  /** Where the page's files are, ending in `/`. */
  readonly base: string;
}

/** An opened model in this browser. */
export interface BrowserEngine {
  readonly backend: string;
  /** Makes one picture; the plan as the server's JSON. */
  run(request: RunRequest, plan: unknown, options: RunOptions): Promise<RunResult>;
  close(): Promise<void>;
}

const STORE = "invardiff-1";

/** Fetches model and runtime, then opens them in a worker. */
export async function openBrowserEngine(
  options: BrowserEngineOptions,
  run: RunOptions,
): Promise<BrowserEngine> {
  if (options.backend !== "auto") return await openOn(options.backend, options, run);
  if ((await findAdapter())?.fallback !== false) return await openOn("wasm", options, run);
  try {
    return await openOn("webgpu", options, run);
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return await openOn("wasm", options, run); // the adapter promised more than it holds
  }
}

async function openOn(
  provider: "webgpu" | "wasm",
  { base, model, fingerprint }: BrowserEngineOptions,
  { onEvent, signal }: RunOptions,
): Promise<BrowserEngine> {
  const version = `?weights=${encodeURIComponent(fingerprint)}`;
  const names = await modelFiles(`${base}models/${model}/`, signal);
  const urls = [
    `${base}${RUNTIME_FOLDER}${runtimeBinary(provider)}`,
    ...names.map((name) => `${base}models/${model}/${name}${version}`),
  ];
  const { files: [binary, ...files], kept } = await downloadAll(urls, {
    store: await openStore(),
    onProgress: (done, total) => onEvent({ kind: "loading", what: "bytes", done, total }),
    signal,
  });
  const renderer = await openRemoteRenderer({
    createWorker: () => new Worker(`${base}worker.js`, { type: "module" }),
    model: new Map(names.map((name, i) => [name, files[i]!])), // as they were asked for
    backend: provider,
    runtimeFiles: { folder: `${base}${RUNTIME_FOLDER}`, binary: binary! },
    onLoaded: (done, total) => onEvent({ kind: "loading", what: "graphs", done, total }),
    signal,
  });
  return new Engine(
    renderer,
    kept ? [] : ["The browser had no room to keep the model for next time."],
  );
}

/** Names of a model's files, as its server lists them. */
async function modelFiles(folder: string, signal: AbortSignal): Promise<readonly string[]> {
  const response = await fetch(`${folder}${MODEL_FILES}`, { signal });
  if (response.ok) return await response.json();
  throw new TypeError(`Cannot open ${folder}: the server answered with ${response.status}.`);
}

/** The Cache API is absent outside of secure contexts, and may be forbidden. */
async function openStore(): Promise<FileStore | undefined> {
  return await globalThis.caches?.open(STORE).catch(() => undefined);
}

class Engine implements BrowserEngine {
  constructor(readonly renderer: Renderer, readonly notices: readonly string[]) {}

  get backend(): string {
    return `this browser, ${this.renderer.facts.backend.description}`;
  }

  async run(request: RunRequest, json: unknown, options: RunOptions): Promise<RunResult> {
    const { onEvent, signal } = options;
    const plan = json === undefined ? undefined : planFromJson(json);
    const kinds = kindsOf(this.renderer.facts, { plan, request });
    const began = performance.now();
    onEvent({ kind: "started", kinds });
    const { label, prompt, seed, guidance, steps, sampler, trueGuidance, edit } = request;
    const image = edit && await readImage(edit.image);
    const begins = image && { image, mask: edit.mask, strength: edit.strength };
    const subject = prompt === undefined
      ? { label: label ?? 0 }
      : { prompt: { prompt, ...negativeOf(request) } };
    const pictures = [{ ...subject, seed, guidance }];
    const batch: Batch = { pictures, steps, sampler, trueGuidance, plan, edit: begins };
    const rendered = await this.renderer.render(batch, {
      previews: true,
      signal,
      onPreparing: (progress) => onEvent({ kind: "loading", ...progress }),
      onStep: ({ index, seconds, preview }) => {
        const elapsed = (performance.now() - began) / 1000;
        const eta = elapsed / (index + 1) * (kinds.length - index - 1);
        onEvent({ kind: "step", index, seconds, elapsed, eta });
        if (preview !== undefined) onEvent({ kind: "preview", pixels: pixelsOf(preview) });
      },
    });
    return await this.#result(rendered, request, { plan, image });
  }

  async close(): Promise<void> {
    await this.renderer.close();
  }

  async #result(
    { pictures, loopSeconds, notices, tokens }: Rendered,
    request: RunRequest,
    { plan, image }: { readonly plan: Plan | undefined; readonly image: Picture | undefined },
  ): Promise<RunResult> {
    const { id, record } = this.renderer.facts;
    const { label = 0, prompt, seed, plan: name = "" } = request;
    const prompts = prompt === undefined ? [] : [{ prompt, ...negativeOf(request) }];
    if (pictures === undefined) {
      throw new RangeError(`Cannot generate: latents of ${id} need an autoencoder`);
    }
    const edit = image && editRecord(image, request.edit!); // the image is that of the request
    const run = { ...request, prompts, plan: plan && { name, plan }, edit };
    const text = recordText(recordOf(run, { labels: [label], seed }, record));
    const png = await encodePng(toPictures(pictures)[0]!, text);
    return {
      pixels: pixelsOf(pictures),
      png: new Blob([png], { type: "image/png" }),
      seconds: loopSeconds,
      backend: this.backend,
      notices: [...this.notices, ...lengthNotices(prompts, tokens), ...notices],
    };
  }
}

/** What the steps that run do. */
function kindsOf(
  { sampler, modules: { length: modules } }: RendererFacts,
  { plan, request: { steps, edit, sampler: solver } }: {
    readonly plan: Plan | undefined;
    readonly request: RunRequest;
  },
): readonly StepKind[] {
  const from = edit === undefined ? 0 : stepsLeftOut(steps, edit.strength);
  const config = solver === undefined ? sampler : chooseSampler(sampler, solver);
  return stepsLeft(config, { steps, from, plan, modules }).map(kindOf);
}

function negativeOf({ negativePrompt }: RunRequest): { readonly negativePrompt?: string } {
  return negativePrompt === undefined ? {} : { negativePrompt };
}

function editRecord(image: Picture, { mask, strength }: RunEdit): EditRecord {
  const of = mask === undefined ? {} : { mask: maskDigest(mask) };
  return { image: pictureDigest(image), ...of, strength };
}

/** A picture file as the engine takes it: PNG as a server reads it, level by level; others as this browser does. */
async function readImage(file: Blob): Promise<Picture> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (readHeaderWithin(bytes).format === "png") return await decodePng(bytes);
  const { width, height, data } = await decodePicture(file);
  return { width, height, channels: 4, pixels: new Uint8Array(data) };
}
