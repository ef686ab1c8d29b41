/**
 * The worker's side: opens one model and answers requests about it.
 */

import { openLocalRenderer } from "./local_renderer.ts";
import { packError, type Port, type Reply, type Request } from "./messages.ts";
import type { Renderer } from "./renderer.ts";

/** Serves a renderer to the other end of a port, which must have no other user. */
export function serveRenderer(port: Port): void {
  const host = new Host(port);
  port.addEventListener("message", (event) => {
    void host.answer((event as MessageEvent<Request>).data); // only our own requests arrive here
  });
}

class Host {
  readonly #running = new Map<number, AbortController>();
  #renderer: Renderer | undefined;

  constructor(readonly port: Port) {}

  async answer(request: Request): Promise<void> {
    try {
      this.#send(await this.#perform(request));
    } catch (error) {
      this.#send({ kind: "failed", id: request.id, error: packError(error) });
    }
  }

  async #perform(request: Request): Promise<Reply> {
    const { id } = request;
    switch (request.kind) {
      case "open":
        return await this.#open(request);
      case "render":
        return await this.#render(request);
      case "cancel":
        this.#running.get(request.render)?.abort(new DOMException("Cancelled", "AbortError"));
        return { kind: "done", id, value: undefined };
      case "counts":
        return { kind: "counted", id, value: await this.#opened.counts() };
      case "close":
        await this.#renderer?.close();
        this.#renderer = undefined;
        return { kind: "done", id, value: undefined };
    }
  }

  async #open({ id, options }: Request & { readonly kind: "open" }): Promise<Reply> {
    const onLoaded = (done: number, total: number): void =>
      this.#send({ kind: "loaded", id, done, total });
    this.#renderer = await openLocalRenderer({ ...options, onLoaded });
    return { kind: "opened", id, value: this.#renderer.facts };
  }

  async #render({ id, batch, previews }: Request & { readonly kind: "render" }): Promise<Reply> {
    const stop = new AbortController();
    this.#running.set(id, stop);
    try {
      const value = await this.#opened.render(batch, {
        previews,
        signal: stop.signal,
        onPreparing: (progress) => this.#send({ kind: "preparing", id, progress }),
        onStep: (step) => this.#send({ kind: "step", id, step }),
      });
      return { kind: "rendered", id, value };
    } finally {
      this.#running.delete(id);
    }
  }

  get #opened(): Renderer {
    if (this.#renderer !== undefined) return this.#renderer;
    throw new TypeError("Cannot render: the worker has no open model.");
  }

  #send(reply: Reply): void {
    this.port.postMessage(reply);
  }
}
