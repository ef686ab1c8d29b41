/**
 * Tasks in Redis: what changes them is a script each.
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
import type { RedisLink } from "./redis_link.ts";

/** Tasks in Redis. */
export class RedisTasks implements TaskStore {
  constructor(
    readonly link: RedisLink,
    readonly keptMs: number,
  ) {}

  async add(task: NewTask, { most, enough, speed, longest }: Room): Promise<Added> {
    const { id, asker, listed, unwatched, pictures, files, request, deadlineSeconds, ...rest } =
      task;
    const fields = { ...rest, asker, version: TASK_VERSION, request: JSON.stringify(request) };
    if (files !== undefined) {
      await this.link.redis.set(this.link.key(`task:${id}:image`), buffer(files.image), "PX", DAY);
      if (files.mask !== undefined) {
        await this.link.redis.set(this.link.key(`task:${id}:mask`), buffer(files.mask), "PX", DAY);
      }
    }
    const words = Object.entries(fields).flat().map(String);
    const patience = deadlineSeconds * 1000;
    const life = listed ? patience + this.keptMs : 0; // no task is there for longer
    const room = [most, enough, speed, longest];
    const turn = Number(
      await this.link.run("add", [
        id,
        asker,
        pictures,
        life,
        unwatched,
        patience,
        ...room,
        ...words,
      ]),
    );
    if (turn >= 0) return { kind: "added", turn };
    await this.link.redis.del(this.link.key(`task:${id}:image`), this.link.key(`task:${id}:mask`));
    return { kind: "full", seconds: -turn };
  }

  async claim(
    ticket: string,
    { owner, pictures, attempts }: TaskClaim,
  ): Promise<readonly string[]> {
    const words = [ticket, owner, pictures, attempts, this.keptMs, LOST];
    return await this.link.run("claim", words) as string[];
  }

  async progress(
    id: string,
    { owner, step, batch, events }: TaskProgress,
  ): Promise<boolean> {
    const words = events.flatMap(({ event, data, topic = "" }) => [
      event,
      JSON.stringify(data),
      topic,
    ]);
    return await this.link.run("progress", [id, owner, step, batch, ...words]) === 1;
  }

  async finish(
    id: string,
    { owner = "", state, result = "", error = "" }: TaskEnd,
  ): Promise<boolean> {
    const words = [id, owner, state, this.keptMs, result, error];
    return await this.link.run("finish", words) === 1;
  }

  async handBack(ticket: string, owner: string): Promise<void> {
    await this.link.run("handBack", [ticket, owner]);
  }

  async follow(id: string, milliseconds: number): Promise<void> {
    await this.link.run("follow", [id, milliseconds]);
  }

  async endUnwatched(pause: number): Promise<void> {
    await this.link.run("endUnwatched", [this.keptMs, pause]);
  }

  async read(id: string): Promise<Task | undefined> {
    return readTask(id, await this.link.redis.hgetall(this.link.key(`task:${id}`)));
  }

  async state(id: string): Promise<string | undefined> {
    return await this.link.redis.hget(this.link.key(`task:${id}`), "state") ?? undefined;
  }

  async eventsAfter(id: string, after: number): Promise<readonly LoggedEvent[]> {
    const entries = await this.link.redis.xrange(
      this.link.key(`task:${id}:log`),
      `(${after}-0`,
      "+",
      "COUNT",
      100,
    );
    return entries.map(([number, [, event = "", , data = "null"]]) => ({
      id: Number.parseInt(number),
      event,
      data: JSON.parse(data),
    }));
  }

  async files(id: string): Promise<EditFiles> {
    const [image, mask] = await this.link.redis.mgetBuffer(
      this.link.key(`task:${id}:image`),
      this.link.key(`task:${id}:mask`),
    );
    if (image === null || image === undefined) {
      throw new RangeError(`Cannot read ${id}: its image must be kept.`);
    }
    return { image: bytesOf(image), ...(mask && { mask: bytesOf(mask) }) };
  }

  async keep(key: string, bytes: Uint8Array): Promise<void> {
    await this.link.redis.set(this.link.key(key), buffer(bytes), "PX", this.keptMs);
  }

  async drop(keys: readonly string[]): Promise<void> {
    await this.link.redis.del(...keys.map((key) => this.link.key(key)));
  }

  async kept(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.link.redis.getBuffer(this.link.key(key));
    return bytes === null ? undefined : bytesOf(bytes);
  }
}

/** A day in milliseconds, longer than any job waits. */
const DAY = 86_400_000;

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(bytes: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
