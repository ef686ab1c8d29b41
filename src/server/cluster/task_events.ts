/**
 * What happens to tasks, as it happens, whichever process does it.
 */

import { isEnd, type LoggedEvent } from "../event_log.ts";
import type { Store } from "./store.ts";

/** Milliseconds after which a follower looks again without being told: messages are lost when the store restarts. */
const LOOK_AGAIN = 2000;

/** Tells what happens to tasks. */
export class TaskEvents {
  readonly #followers = new Map<string, Set<() => void>>();
  readonly #onEnded = new Map<string, () => void>();

  private constructor(readonly store: Store) {}

  static async of(store: Store): Promise<TaskEvents> {
    const events = new TaskEvents(store);
    await store.hear("woken", (id) => events.#wake(id));
    await store.hear("ended", (id) => events.#onEnded.get(id)?.());
    return events;
  }

  /** Followers end with what they have. */
  close(): void {
    for (const wake of [...this.#followers.values()].flatMap((all) => [...all])) wake();
  }

  /** Events of a task after this one, as they come, until it ends, expires, or the signal is aborted. */
  async *follow(
    id: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<LoggedEvent, void, undefined> {
    for (let seen = after; !signal.aborted;) {
      const woken = this.#woken(id, signal); // before looking, so that nothing falls between
      const events = await this.store.tasks.eventsAfter(id, seen);
      for (const event of events) {
        yield event;
        seen = event.id;
        if (isEnd(event)) return woken.forget();
      }
      if (events.length === 0) {
        const state = await this.store.tasks.state(id);
        if (state === undefined) return woken.forget();
        if (isEnd({ event: state }) && await this.#hasAll(id, seen)) {
          return woken.forget();
        }
        await woken.promise;
      }
      woken.forget();
    }
  }

  /** Calls back when a task has ended, whoever ended it. */
  onEnded(id: string, call: () => void): () => void {
    this.#onEnded.set(id, call);
    return () => void this.#onEnded.delete(id);
  }

  async #hasAll(id: string, seen: number): Promise<boolean> {
    return (await this.store.tasks.eventsAfter(id, seen)).length === 0;
  }

  #woken(id: string, signal: AbortSignal): { promise: Promise<void>; forget: () => void } {
    let wake = (): void => {};
    const promise = new Promise<void>((resolve) => wake = resolve);
    const timer = setTimeout(() => wake(), LOOK_AGAIN);
    const all = this.#followers.get(id) ?? new Set();
    this.#followers.set(id, all.add(wake));
    signal.addEventListener("abort", wake);
    const forget = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      all.delete(wake);
      if (all.size === 0) this.#followers.delete(id);
    };
    return { promise, forget };
  }

  #wake(id: string): void {
    for (const wake of this.#followers.get(id) ?? []) wake();
  }
}
