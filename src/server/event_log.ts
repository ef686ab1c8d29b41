/**
 * The events of a job, in order, for any number of readers that come and go.
 */

export interface LoggedEvent {
  /** Counts from 1. */
  readonly id: number;
  readonly event: string;
  readonly data: unknown;
  /** Events of which only the newest matters have the same. */
  readonly topic?: string | undefined;
}

/** Events after which a job has none. */
const ENDS: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

/** Whether it is a job's last event. */
export function isEnd({ event }: Pick<LoggedEvent, "event">): boolean {
  return ENDS.has(event);
}

/** An append-only log with an end. */
export class EventLog {
  #events: LoggedEvent[] = [];
  #last = 0;
  #ended = false;
  readonly #readers = new Set<() => void>();

  /** Adds an event; one with a topic replaces the earlier one of that topic, which keeps the log small. */
  append(event: string, data: unknown, topic?: string): void {
    if (topic !== undefined) this.#events = this.#events.filter((one) => one.topic !== topic);
    this.#events.push({ id: ++this.#last, event, data, topic });
    this.#wake();
  }

  /** No event will follow. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Events after the one of this id, as they come, until the log ends or the signal is aborted. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<LoggedEvent, void, undefined> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener("abort", onAbort);
    try {
      for (let seen = after; !signal.aborted;) {
        const next = this.#events.find(({ id }) => id > seen);
        if (next !== undefined) {
          seen = next.id;
          yield next;
        } else if (this.#ended) return;
        else await new Promise<void>((resolve) => this.#readers.add(resolve));
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #wake(): void {
    for (const resolve of this.#readers) resolve();
    this.#readers.clear();
  }
}
