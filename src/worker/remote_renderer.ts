/**
 * A renderer in a worker: its thread computes, this one stays free for requests, cancels and clocks.
 */

import { BackendError } from "../errors.ts";
import {
  type Port,
  type Reply,
  type Request,
  unpackError,
  type WorkerOptions,
} from "./messages.ts";
import type {
  Batch,
  Rendered,
  Renderer,
  RendererCounts,
  RendererFacts,
  RenderOptions,
} from "./renderer.ts";
import { reopened } from "./reopened.ts";

/** A worker, seen from the thread that created it. */
export interface WorkerPort extends Port {
  /** Ends its thread at once. */
  terminate(): void;
}

/** How a worker is opened. */
export interface RemoteOptions extends WorkerOptions {
  /** Makes the worker; one of `entry.ts` beside this module unless given. */
  readonly createWorker?: () => WorkerPort;
  /** Called for each session when it is loaded. */
  readonly onLoaded?: (done: number, total: number) => void;
  /** Stops opening and ends the worker. */
  readonly signal?: AbortSignal;
}

/** How long a worker has to free what it holds, in milliseconds; then its thread is ended with it. */
const CLOSE_MS = 5000;

/** Taken before onnxruntime-web's build for Node replaces the global with the class of `node:worker_threads`. */
const ModuleWorker: typeof Worker | undefined = globalThis.Worker;

/** Whether this runtime has module workers; Node's differ and Cloudflare's has none. */
export function canStartWorkers(): boolean {
  return ModuleWorker !== undefined;
}

/**
 * Opens a model in a worker; in another one, where its GPU is lost.
 *
 * @throws {AssetError | BackendError} As opening a pipeline; BackendError also when the worker does not start.
 */
export async function openRemoteRenderer(options: RemoteOptions = {}): Promise<Renderer> {
  const { onLoaded: _, signal: __, ...again } = options; // they were of the first time
  return await reopened(openOnce(options), () => openOnce(again));
}

async function openOnce(options: RemoteOptions): Promise<Renderer> {
  const { createWorker = startWorker, onLoaded, signal, ...rest } = options;
  signal?.throwIfAborted();
  const link = new Link(createWorker());
  const stop = (): void => link.fail(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const facts = await link.ask<RendererFacts>({ kind: "open", options: rest }, (reply) => {
      if (reply.kind === "loaded") onLoaded?.(reply.done, reply.total);
    });
    return new RemoteRenderer(link, facts);
  } catch (error) {
    link.end();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

function startWorker(): WorkerPort {
  if (ModuleWorker === undefined) {
    throw new BackendError(
      "Cannot start a worker: this runtime has no module workers.",
    );
  }
  const entry = import.meta.url.endsWith(".js") ? "./entry.js" : "./entry.ts"; // packed for npm, we are JavaScript
  return new ModuleWorker(new URL(entry, import.meta.url), { type: "module" });
}

class RemoteRenderer implements Renderer {
  constructor(readonly link: Link, readonly facts: RendererFacts) {}

  async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    const { onPreparing, onStep, previews = false, signal } = options;
    signal?.throwIfAborted();
    const rendering = this.link.begin<Rendered>({ kind: "render", batch, previews }, (reply) => {
      if (reply.kind === "preparing") onPreparing?.(reply.progress);
      if (reply.kind === "step") onStep?.(reply.step);
    });
    const cancel = (): void => this.link.tell({ kind: "cancel", render: rendering.id });
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await rendering.answer;
    } catch (error) {
      signal?.throwIfAborted(); // the caller's own reason, not the worker's copy of it
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  counts(): Promise<RendererCounts> {
    return this.link.ask<RendererCounts>({ kind: "counts" });
  }

  async close(): Promise<void> {
    if (this.link.ended) return;
    const late = setTimeout(() => this.link.end(), CLOSE_MS); // its thread may hang
    try {
      await this.link.ask<undefined>({ kind: "close" });
    } finally {
      clearTimeout(late);
      this.link.end();
    }
  }
}

/** A request before it has an id. */
type Unnumbered = Request extends infer R ? R extends Request ? Omit<R, "id"> : never : never;

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  readonly onReply: (reply: Reply) => void;
}

/** Requests and their answers over one worker. */
class Link {
  readonly #pending = new Map<number, Pending>();
  #last = 0;
  #failure: { readonly reason: unknown } | undefined;

  constructor(readonly worker: WorkerPort) {
    worker.addEventListener("message", (event) => {
      this.#receive((event as MessageEvent<Reply>).data); // only our own worker speaks here
    });
    for (const type of ["error", "messageerror"] as const) {
      worker.addEventListener(type, (event) => {
        event.preventDefault(); // it rejects pending requests, not the whole process
        const { message = type } = event as ErrorEvent;
        this.fail(new BackendError(`Cannot use the worker: it failed: ${message}`));
      });
    }
  }

  get ended(): boolean {
    return this.#failure !== undefined;
  }

  /** Sends a request and waits for its answer. */
  ask<T>(request: Unnumbered, onReply: (reply: Reply) => void = () => {}): Promise<T> {
    return this.begin<T>(request, onReply).answer;
  }

  /** Sends a request; its id names it to others. */
  begin<T>(
    request: Unnumbered,
    onReply: (reply: Reply) => void,
  ): { readonly id: number; readonly answer: Promise<T> } {
    const id = ++this.#last;
    const answer = new Promise<T>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.reason);
      this.#pending.set(id, { resolve, reject, onReply });
      this.worker.postMessage({ ...request, id });
    });
    return { id, answer };
  }

  /** Sends a request whose answer nobody needs. */
  tell(request: Unnumbered): void {
    this.ask(request).catch(() => {}); // a worker that is gone has nothing to cancel
  }

  /** Ends the worker; pending requests are rejected with the reason. */
  fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.worker.terminate();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  /** Ends the worker after its last answer. */
  end(): void {
    this.fail(new BackendError("Cannot use the worker: it is closed."));
  }

  #receive(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    if (reply.kind === "loaded" || reply.kind === "preparing" || reply.kind === "step") {
      return pending.onReply(reply);
    }
    this.#pending.delete(reply.id);
    if (reply.kind === "failed") return pending.reject(unpackError(reply.error));
    pending.resolve(reply.value as never); // the kind of the answer follows from that of the request
  }
}
