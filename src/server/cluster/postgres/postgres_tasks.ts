/**
 * Tasks in Postgres: what changes them is a function each.
 */

import type { LoggedEvent } from "../../event_log.ts";
import {
  type Added,
  LOST,
  type NewTask,
  type Room,
  type TaskClaim,
  type TaskEnd,
  type TaskProgress,
  type TaskStore,
} from "../store.ts";
import { type EditFiles, readTask, type Task, TASK_VERSION } from "../task.ts";
import type { Row } from "./driver.ts";
import type { PostgresLink } from "./postgres_link.ts";

/** Tasks in Postgres. */
export class PostgresTasks implements TaskStore {
  /** Number of the next part of what is told, so that none is told twice when an answer was lost. */
  #part = 1;

  constructor(readonly link: PostgresLink, readonly keptMs: number) {}

  async add(
    { files, request, deadlineSeconds, ...task }: NewTask,
    room: Room,
  ): Promise<Added> {
    const told = { ...task, version: TASK_VERSION, patience: deadlineSeconds * 1000 };
    const turn = Number(
      await this.link.value("SELECT @add_task($1, $2, $3, $4, $5)", [
        JSON.stringify(told),
        JSON.stringify(request),
        JSON.stringify(room),
        files && buffer(files.image),
        files?.mask && buffer(files.mask),
      ]),
    );
    return turn < 0 ? { kind: "full", seconds: -turn } : { kind: "added", turn };
  }

  async claim(
    ticket: string,
    { owner, pictures, attempts }: TaskClaim,
  ): Promise<readonly string[]> {
    const values = [ticket, owner, pictures, attempts, this.keptMs, LOST];
    const rows = await this.link.rows(
      "SELECT @claim_tasks($1, $2, $3, $4, $5, $6) AS id",
      values,
    );
    return rows.map(({ id }) => `${id}`);
  }

  async progress(
    id: string,
    { owner, step, batch, events }: TaskProgress,
  ): Promise<boolean> {
    const done = await this.link.value("SELECT @progress_task($1, $2, $3, $4, $5, $6, $7, $8)", [
      ...[id, owner, this.#part++, step, batch],
      events.map(({ event }) => event),
      events.map(({ data }) => JSON.stringify(data)),
      events.map(({ topic = "" }) => topic),
    ]);
    return done === true;
  }

  async finish(
    id: string,
    { owner = "", state, result, error }: TaskEnd,
  ): Promise<boolean> {
    const values = [id, owner, state, this.keptMs, result, error];
    return await this.link.value("SELECT @finish_task($1, $2, $3, $4, $5, $6)", values) === true;
  }

  async handBack(ticket: string, owner: string): Promise<void> {
    await this.link.rows("SELECT @hand_back($1, $2)", [ticket, owner]);
  }

  async follow(id: string, milliseconds: number): Promise<void> {
    await this.link.rows(
      "UPDATE @task SET watched = greatest(watched, @now_ms() + $2) WHERE id = $1 AND watched > 0",
      [id, milliseconds],
    );
  }

  async endUnwatched(pause: number): Promise<void> {
    await this.link.rows("SELECT @end_unwatched($1, $2)", [this.keptMs, pause]);
  }

  async read(id: string): Promise<Task | undefined> {
    if (!isName(id)) return undefined;
    const [row] = await this.link.rows(`SELECT * FROM @task WHERE id = $1 AND ${THERE}`, [id]);
    return row && readTask(id, wordsOf(row));
  }

  async state(id: string): Promise<string | undefined> {
    const state = await this.link.value(
      `SELECT state FROM @task WHERE id = $1 AND ${THERE}`,
      [id],
    );
    return state === undefined ? undefined : `${state}`;
  }

  async eventsAfter(id: string, after: number): Promise<readonly LoggedEvent[]> {
    const rows = await this.link.rows(
      "SELECT number, event, data FROM @event WHERE task = $1 AND number > $2 ORDER BY number LIMIT 100",
      [id, Math.min(after, MOST)],
    );
    return rows.map(({ number, event, data }) => ({
      id: Number(number),
      event: `${event}`,
      data: JSON.parse(`${data}`),
    }));
  }

  async files(id: string): Promise<EditFiles> {
    const [image, mask] = await Promise.all([
      this.kept(`task:${id}:image`),
      this.kept(`task:${id}:mask`),
    ]);
    if (image === undefined) throw new RangeError(`Cannot read ${id}: its image must be kept.`);
    return { image, ...(mask && { mask }) };
  }

  async keep(key: string, bytes: Uint8Array): Promise<void> {
    await this.link.rows(
      `INSERT INTO @kept VALUES ($1, $2, @now_ms() + $3)
       ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, expires = excluded.expires`,
      [key, buffer(bytes), this.keptMs],
    );
  }

  async drop(keys: readonly string[]): Promise<void> {
    await this.link.rows("DELETE FROM @kept WHERE key = ANY($1)", [keys]);
  }

  async kept(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!isName(key)) return undefined;
    const bytes = await this.link.value(
      "SELECT bytes FROM @kept WHERE key = $1 AND expires > @now_ms()",
      [key],
    );
    return bytes === undefined ? undefined : new Uint8Array(bytes as Buffer); // as the driver reads bytea
  }
}

/** What has not expired. */
const THERE = "(expires IS NULL OR expires > @now_ms())";
/** Largest number of an event; clients may claim to have seen any. */
const MOST = 2 ** 31 - 1;

/** Whether Postgres can have such a name; clients may ask for any. */
function isName(text: string): boolean {
  return !text.includes("\0");
}

/** Columns as words, as `readTask()` takes them, without those that are null. */
function wordsOf(row: Row): Readonly<Record<string, string>> {
  const there = Object.entries(row).filter(([, value]) => value !== null);
  return Object.fromEntries(there.map(([name, value]) => [name, `${value}`]));
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
