/**
 * What every worker does from time to time for all: it says that it is there, ends what took too long or what
 * nobody follows that was to be watched, and makes tickets again that were lost, with a store that died or a server
 * that died between task and ticket.
 */

import type { Renderer } from "../../worker/renderer.ts";
import { tooLate } from "../refusals.ts";
import { packFailure } from "./task.ts";
import type { Cluster } from "./cluster.ts";
import { ANNOUNCE_MS, type TicketOffice } from "./store.ts";

export interface KeeperOptions {
  readonly cluster: Cluster;
  /** Renderers of this process by their models. */
  readonly models: ReadonlyMap<string, readonly Renderer[]>;
  /** Multiply-accumulates a second of one renderer; absent before it has drawn anything. */
  readonly speed: () => number | undefined;
  readonly office: (model: string) => TicketOffice;
}

/** To list a folder takes a while: once a minute. */
const LOOKS_PER_SWEEP = 60_000 / ANNOUNCE_MS;
/** Milliseconds of an hour: so much may the clock of a file server differ from ours. */
const HOUR = 3_600_000;

/** Looks after the store while a worker is there. */
export class Keeper {
  readonly #name: string = crypto.randomUUID();
  readonly #timer: ReturnType<typeof setInterval>;
  #looking: Promise<void> = Promise.resolve();
  #looks = 0;

  constructor(readonly options: KeeperOptions) {
    const look = (): void => {
      this.#looking = this.#looking.then(() => this.look()).catch(() => {}); // the store is away: later again
    };
    look();
    this.#timer = setInterval(look, ANNOUNCE_MS);
  }

  /** Does all of it once. */
  async look(): Promise<void> {
    const { backlog, watches } = this.options.cluster;
    await this.#announce();
    await watches.endUnwatched();
    for (const model of this.options.models.keys()) {
      for (const id of await backlog.waiting(model)) await this.#mind(id, model);
    }
    for (const id of await backlog.running()) await this.#mind(id);
    if (this.#looks++ % LOOKS_PER_SWEEP === 0) await this.#sweep();
  }

  /** Takes leave. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    const { cluster: { workers }, models } = this.options;
    await Promise.all(
      [...models.keys()].map((model) => workers.leave(this.#name, model)),
    ).catch(() => {}); // what was said is forgotten by itself
  }

  /** Removes results that nothing leads to any more. */
  async #sweep(): Promise<void> {
    const { lasting, tasks: { keptMs } } = this.options.cluster;
    await lasting?.sweep(keptMs + HOUR);
  }

  async #announce(): Promise<void> {
    const { cluster: { workers }, models, speed } = this.options;
    const one = speed();
    for (const own of models.values()) {
      await workers.announce(this.#name, {
        facts: own[0]!.facts, // a model is there by a renderer of it
        speed: one === undefined ? null : one * own.length,
        renderers: own.length,
      });
    }
  }

  async #mind(id: string, model?: string): Promise<void> {
    const { cluster: { backlog, tasks }, office } = this.options;
    const duty = await backlog.duty(id);
    if (duty === undefined || (model !== undefined && duty.model !== model)) return;
    if (duty.isOverdue) {
      await tasks.finish(id, { state: "failed", error: packFailure(tooLate(duty.seconds)) });
    } else {
      await office(duty.model).add(duty.ticket, duty.turn);
    }
  }
}
