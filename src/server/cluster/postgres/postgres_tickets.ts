/**
 * Tickets as rows, beside the tasks that they stand for: both are made in one transaction.
 *
 * BullMQ has tickets in Postgres, too, but measures leases by the clocks of its workers: one whose clock is ahead
 * by more than a lease takes what others draw, again and again.
 */

import type { TakerOptions, TicketOffice, TicketTaker } from "../store.ts";
import type { PostgresLink } from "./postgres_link.ts";

/** Longest time between looks for tickets, in milliseconds: who listens may miss what is told. */
const LOOK_AGAIN = 2000;

/** Makes tickets again that were lost. */
export class PostgresOffice implements TicketOffice {
  constructor(readonly model: string, readonly link: PostgresLink) {}

  async add(id: string): Promise<void> {
    const made = await this.link.rows(
      `INSERT INTO @ticket (id, model, turn, place)
         SELECT id, model, turn, place FROM @task WHERE id = $1 AND state IN ('queued', 'running')
       ON CONFLICT DO NOTHING RETURNING id`,
      [id],
    );
    if (made.length > 0) await this.link.rows("SELECT @release_ticket($1, '')", [id]);
  }

  async close(): Promise<void> {
    await Promise.resolve(); // the link is not its own
  }
}

/** A ticket in our hands. */
interface Held {
  readonly id: string;
  readonly owner: string;
  readonly gone: AbortController;
}

/** Takes tickets, one for each of its hands. */
export class PostgresTaker implements TicketTaker {
  readonly #held = new Set<Held>();
  readonly #hands: readonly Promise<void>[];
  readonly #renewing: ReturnType<typeof setInterval>;
  readonly #deaf: () => void;
  readonly #wakes = new Set<() => void>();
  #closing = false;

  constructor(
    readonly model: string,
    readonly options: TakerOptions & { readonly link: PostgresLink },
  ) {
    const { atOnce, lease: { lockDuration }, link } = options;
    this.#deaf = link.hear("ticket", (of) => {
      if (of === model) this.#wake();
    });
    this.#renewing = setInterval(() => void this.#renew().catch(() => {}), lockDuration / 3);
    this.#hands = Array.from({ length: atOnce }, () => this.#work());
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#wake();
    await Promise.all(this.#hands);
    this.abandon();
  }

  /** The link, which is not its own, is closed by whose it is. */
  abandon(): void {
    clearInterval(this.#renewing);
    this.#deaf();
  }

  /** Takes one ticket after the other. */
  async #work(): Promise<void> {
    const { lease: { stalledInterval } } = this.options;
    while (!this.#closing) {
      const woken = this.#woken(Math.min(LOOK_AGAIN, stalledInterval)); // before looking, so that nothing falls between
      const held = await this.#take().catch(() => undefined); // the link was closed
      if (held === undefined) await woken.promise;
      else await this.#hold(held);
      woken.forget();
    }
  }

  async #take(): Promise<Held | undefined> {
    const { link, lease: { lockDuration } } = this.options;
    const owner = crypto.randomUUID();
    const id = await link.value("SELECT @take_ticket($1, $2, $3)", [
      this.model,
      owner,
      lockDuration,
    ]);
    return id === undefined ? undefined : { id: `${id}`, owner, gone: new AbortController() };
  }

  async #hold(held: Held): Promise<void> {
    const { id, owner, gone: { signal } } = held;
    const { link, hold } = this.options;
    this.#held.add(held);
    try {
      const end = await hold({ id, owner, signal });
      const statement = end === "back"
        ? "SELECT @release_ticket($1, $2)"
        : "DELETE FROM @ticket WHERE id = $1 AND owner = $2";
      await link.rows(statement, [id, owner]);
    } catch {
      // What it stands for is taken again when its lease has ended.
    } finally {
      this.#held.delete(held);
    }
  }

  /** Says that we live; who hears that a ticket is someone else's by now stops. */
  async #renew(): Promise<void> {
    const { link, lease: { lockDuration } } = this.options;
    const all = [...this.#held];
    if (all.length === 0) return;
    const kept = await link.rows(
      `UPDATE @ticket AS ours SET until = @now_ms() + $3
         FROM unnest($1::text[], $2::text[]) AS held (id, owner)
         WHERE ours.id = held.id AND ours.owner = held.owner RETURNING ours.id`,
      [all.map(({ id }) => id), all.map(({ owner }) => owner), lockDuration],
    );
    const ids = new Set(kept.map(({ id }) => id));
    for (const held of all) if (!ids.has(held.id)) held.gone.abort();
  }

  #woken(after: number): { readonly promise: Promise<void>; readonly forget: () => void } {
    let wake = (): void => {};
    const promise = new Promise<void>((resolve) => wake = resolve);
    const timer = setTimeout(wake, after);
    this.#wakes.add(wake);
    const forget = (): void => {
      clearTimeout(timer);
      this.#wakes.delete(wake);
    };
    return { promise, forget };
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }
}
