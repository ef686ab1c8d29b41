/**
 * A patient client of servers that share a queue: it goes to another when one does not answer, comes back when it is
 * told to, and checks what it sees.
 */

import { readEvents } from "../../src/page/sse.ts";
import { isEnd } from "../../src/server/event_log.ts";

/** How a request ended, as its client saw it. */
export interface JobOutcome {
  readonly end: "completed" | "cancelled" | "failed" | "refused";
  /** From request to end. */
  readonly seconds: number;
  /** What should not have been, in sentences. */
  readonly wrong: readonly string[];
}

/** An event of a job. */
interface SeenEvent {
  readonly id: number;
  readonly event: string;
}

/** Longest time in which a client wants an end. */
const PATIENCE_MS = 240_000;

export class JobClient {
  readonly #began = Date.now();
  #turn: number;

  /** @param servers Addresses of the servers, as they are now. */
  constructor(readonly servers: () => readonly string[], turn: number) {
    this.#turn = turn;
  }

  /** Sends what nobody can mean. */
  async askBadly(): Promise<JobOutcome> {
    const response = await this.#send("/v1/jobs", {
      method: "POST",
      body: '{"prompt": 5, "seed": "x"}',
    });
    await response.body?.cancel();
    const wrong = response.status === 400
      ? []
      : [`a malformed request was answered ${response.status}`];
    return this.#outcome("refused", wrong);
  }

  /** Adds a job and follows it, through another server each time, until it has ended. */
  async askAndFollow(
    body: unknown,
    { cancelAfter, expected }: {
      readonly cancelAfter: number | undefined;
      readonly expected: Float32Array;
    },
  ): Promise<JobOutcome> {
    const added = await this.#send("/v1/jobs", { method: "POST", body: JSON.stringify(body) });
    if (added.status !== 202) {
      return this.#outcome("failed", [`adding was answered ${added.status}`]);
    }
    const { id } = await added.json();
    const cancelling = cancelAfter === undefined ? undefined : this.#cancel(id, cancelAfter);
    const events = await this.#follow(id);
    await cancelling;
    const wrong = wrongOf(id, events);
    const last = events.find(isEnd)?.event;
    if (last === "completed") {
      const latents = await (await this.#send(`/v1/jobs/${id}/latents`)).bytes();
      const made = new Float32Array(latents.buffer);
      const same = made.length === expected.length &&
        made.every((value, at) => value === expected[at]);
      if (!same) wrong.push(`${id} has other bits`);
    }
    if (last === "failed") {
      const { error } = await (await this.#send(`/v1/jobs/${id}`)).json();
      if (error?.message === undefined) wrong.push(`${id} failed without a reason`);
    }
    return this.#outcome(last as JobOutcome["end"] ?? "failed", wrong);
  }

  async #cancel(id: string, after: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, after));
    await (await this.#send(`/v1/jobs/${id}`, { method: "DELETE" })).body?.cancel();
  }

  /** Events until the last; a stream that breaks is taken up again, at another server, after what was seen. */
  async #follow(id: string): Promise<SeenEvent[]> {
    const seen: SeenEvent[] = [];
    while (Date.now() - this.#began < PATIENCE_MS) {
      const headers = { "last-event-id": `${seen.at(-1)?.id ?? 0}` };
      const response = await this.#send(`/v1/jobs/${id}/events`, { headers });
      try {
        for await (const { id, event } of readEvents(response.body!)) { // a stream has one
          if (event === "error") break; // of the stream, not of the job: its store is away
          seen.push({ id: Number(id), event });
          if (isEnd({ event })) return seen;
        }
      } catch {
        // The server or its Redis went away: from here on with another.
      }
    }
    return seen;
  }

  /** Sends to one server after the other until one answers and does not say "later". */
  async #send(path: string, init: RequestInit = {}): Promise<Response> {
    while (Date.now() - this.#began < PATIENCE_MS) {
      const servers = this.servers();
      const server = servers[this.#turn++ % servers.length];
      const headers = { "content-type": "application/json", ...init.headers };
      const response = await fetch(`${server}${path}`, { ...init, headers }).catch(() => undefined);
      if (response !== undefined && response.status !== 503 && response.status !== 429) {
        return response;
      }
      const seconds = Number(response?.headers.get("retry-after") ?? 0.2);
      await response?.body?.cancel();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
    throw new Error(`nobody answered ${path} within ${PATIENCE_MS / 1000} s`);
  }

  #outcome(end: JobOutcome["end"], wrong: readonly string[]): JobOutcome {
    return { end, seconds: (Date.now() - this.#began) / 1000, wrong };
  }
}

/** What must not be in a job's events. */
function wrongOf(id: string, events: readonly SeenEvent[]): string[] {
  const ends = events.filter(isEnd).length;
  const sorted = events.every(({ id }, i) => i === 0 || id > events[i - 1]!.id);
  return [
    ...(ends === 1 ? [] : [`${id} ended ${ends} times`]),
    ...(sorted ? [] : [`the events of ${id} came in no order`]),
  ];
}
