/**
 * The server for Cloudflare Workers and other hosts of workerd: one picture after another, no jobs, weights
 * from static assets.
 *
 * The module that is deployed imports onnxruntime-web's WebAssembly, which workerd compiles ahead, and
 * hands it over; `deno task build:edge` writes it:
 *
 * ```ts ignore
 * import compiled from "./ort.wasm";
 * import jpeg from "./jpeg.wasm"; // jSquash's decoders, for pictures to edit
 * import webp from "./webp.wasm";
 * import { serveWorker } from "@invardiff/edge/cloudflare";
 *
 * export default serveWorker(compiled, { decoders: { jpeg, webp } });
 * ```
 *
 * @module
 */

export type { CompiledDecoders } from "../image/lossy_decoders.ts";

import { openParts } from "../assets/parted_source.ts";
import type { Fetch } from "../assets/store/ranged_response.ts";
import type { CompiledDecoders } from "../image/lossy_decoders.ts";
import { type App, createApp } from "../server/app.ts";
import { DEFAULT_LIMITS } from "../server/app_options.ts";
import { parseKeys } from "../server/key_list.ts";
import { type BodyBounds, readBounded } from "../server/read_body.ts";
import { refusalOf, RequestError } from "../server/request_error.ts";
import { routePath } from "../server/routing.ts";
import { openLocalRenderer } from "../worker/local_renderer.ts";
import type { Renderer } from "../worker/renderer.ts";
import { Turns, within } from "./turns.ts";

/** What the host binds. */
export interface WorkerEnv {
  /** Static assets: the model in parts under `/model/`. */
  readonly ASSETS: { fetch(url: URL, init: RequestInit): Promise<Response> };
  /** Keys, separated by commas, each of 16 letters or more; clients must present one of them. */
  readonly API_KEYS?: string;
}

/** The lifetime of a request. */
export interface WorkerContext {
  /** Keeps the request alive after its answer. */
  waitUntil(promise: Promise<unknown>): void;
}

/** What the host calls. */
export interface WorkerHandler {
  /** Answers a request. */
  fetch(request: Request, env: WorkerEnv, context: WorkerContext): Promise<Response>;
}

/** Any origin: the assets binding looks at the path only. */
const MODEL_ASSETS = "https://assets.invalid/model/";
/**
 * For 128 MB of memory and a minute of CPU time. A client that leaves a stream cancels it; one that
 * leaves a plain request may go unnoticed by the host, so its request runs to the end.
 */
const LIMITS = {
  ...{ n: 2, steps: 100, queue: 8, deadlineSeconds: 60 },
  upload: { bytes: 4e6, seconds: 30 },
  uploadPixels: 4e6,
} as const;
/** By path of the requests for pictures: bounds of their bodies. */
const BOUNDS: ReadonlyMap<string, BodyBounds> = new Map([
  ["/v1/images/generations", DEFAULT_LIMITS.body],
  ["/v1/images/edits", LIMITS.upload],
]);
const HEALTH: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

/** What a worker may have besides. */
export interface ServeOptions {
  /** Decoders of JPEG and WebP, for pictures to edit; without them only PNG is read. */
  readonly decoders?: CompiledDecoders;
}

/** Makes the handler; the first request opens the model, since only requests may read assets. */
export function serveWorker(
  compiledModule: WebAssembly.Module,
  options: ServeOptions = {},
): WorkerHandler {
  let service: Service | undefined;
  return {
    fetch: async (request, env, context) => {
      service ??= new Service(compiledModule, { env, ...options });
      const current = service;
      context.waitUntil(current.loaded); // the next request needs it, even if this one leaves
      const forget = (): void => {
        if (service === current) service = undefined;
      };
      return await current.answer(request, { context, forget });
    },
  };
}

interface Visit {
  readonly context: WorkerContext;
  /** Lets the next request start over. */
  readonly forget: () => void;
}

class Service {
  readonly #host: ServeOptions & { readonly env: WorkerEnv };
  readonly #renderer: Promise<Renderer>;
  #app: App;
  #turns = newTurns();
  #rendering: Promise<unknown> = Promise.resolve();

  constructor(compiledModule: WebAssembly.Module, host: ServeOptions & { env: WorkerEnv }) {
    this.#host = host;
    this.#renderer = openModel(compiledModule, (url, init) => host.env.ASSETS.fetch(url, init));
    this.#renderer.catch((error) => console.error("error while the model was opened:", error));
    this.#app = this.#newApp();
  }

  #newApp(): App {
    return createApp({
      renderers: this.#renderer.then((renderer) => [this.#watched(renderer)]),
      jobs: false,
      apiKeys: parseKeys(this.#host.env.API_KEYS, "API_KEYS"),
      decoders: this.#host.decoders,
      limits: LIMITS,
      onError: (error, id) => console.error(`error in request ${id}:`, error),
    });
  }

  /** Resolves when the model is loaded or could not be. */
  get loaded(): Promise<void> {
    return this.#app.loaded;
  }

  async answer(request: Request, { context, forget }: Visit): Promise<Response> {
    const pathname = routePath(request);
    if (HEALTH.has(pathname)) return await this.#app.fetch(request);
    if (!await within(this.loaded, LIMITS.deadlineSeconds)) {
      forget(); // the request that loaded it is gone
      return refuse(stuck());
    }
    if ((await this.#app.request("/readyz")).status !== 200) forget();
    const bounds = BOUNDS.get(pathname);
    if (request.method !== "POST" || bounds === undefined) {
      return await this.#app.fetch(request);
    }
    try {
      return await this.#generate(await whole(request, bounds), context);
    } catch (error) {
      return refuse(error);
    }
  }

  /** Answers when it is this request's turn; the turn ends with the rendering. */
  async #generate(request: Request, context: WorkerContext): Promise<Response> {
    const turn = await this.#turns.take();
    if (turn.kind === "full") throw full(turn.seconds);
    if (turn.kind === "stuck") {
      this.#app = this.#newApp(); // the old one waits for a rendering that will not end
      this.#turns = newTurns();
      throw stuck();
    }
    try {
      return await this.#app.fetch(request);
    } finally {
      context.waitUntil(this.#rendering.then(nextTask).then(turn.end)); // a stream runs on after the answer's head
    }
  }

  #watched(renderer: Renderer): Renderer {
    return {
      facts: renderer.facts,
      render: (batch, options) => {
        const rendering = renderer.render(batch, options);
        this.#rendering = rendering.catch(() => {}); // the request is rejected itself
        return rendering;
      },
      counts: () => renderer.counts(),
      close: () => renderer.close(),
    };
  }
}

async function openModel(compiledModule: WebAssembly.Module, fetch: Fetch): Promise<Renderer> {
  return await openLocalRenderer({ model: await openParts(MODEL_ASSETS, fetch), compiledModule });
}

/** The request with its body read, so that no slow client holds a turn. */
async function whole(request: Request, bounds: BodyBounds): Promise<Request> {
  const body = await readBounded(request, bounds);
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body,
    signal: request.signal,
  });
}

function newTurns(): Turns {
  return new Turns({ limit: LIMITS.queue, seconds: LIMITS.deadlineSeconds });
}

function full(seconds: number): RequestError {
  return new RequestError(`Cannot add the job: the queue is full (${LIMITS.queue} jobs)`, {
    status: 429,
    code: "queue_full",
    headers: { "retry-after": `${seconds}` },
  });
}

function stuck(): RequestError {
  return new RequestError("Cannot generate: an earlier request does not end", {
    status: 503,
    code: "busy",
    headers: { "retry-after": "1" },
  });
}

function refuse(error: unknown): Response {
  const { status, body, headers } = refusalOf(error);
  return Response.json(body, { status, headers });
}

function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
