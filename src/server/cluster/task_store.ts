/**
 * Tasks in Redis, for all that take, draw and tell of them.
 */

import type { LoggedEvent } from "../event_log.ts";
import type { RedisLink } from "./redis_link.ts";
import { type EditFiles, readTask, type Task, TASK_VERSION, type TaskRequest } from "./task.ts";

/** What is added beside a request. */
export interface NewTask {
  readonly id: string;
  readonly model: string;
  readonly shape: string;
  readonly pictures: number;
  /** Multiply-accumulates of all of it. */
  readonly macs: number;
  readonly request: TaskRequest;
  /** Whose it is; empty without keys. */
  readonly asker: string;
  /** Whether its owner finds it in the list of jobs. */
  readonly listed: boolean;
  /** Unix milliseconds. */
  readonly created: number;
  readonly deadline: number;
  readonly files?: EditFiles | undefined;
}

/** How a task ends. */
export interface TaskEnd {
  /** Who may end it; anyone unless given. */
  readonly owner?: string;
  readonly state: "completed" | "failed" | "cancelled";
  /** What is told of its pictures, as JSON. */
  readonly result?: string;
  /** Its failure, packed. */
  readonly error?: string;
}

/** An event as a script takes it. */
export type TaskEvent = Pick<LoggedEvent, "event" | "data" | "topic">;

/** Tasks in Redis. */
export class TaskStore {
  constructor(
    readonly link: RedisLink,
    /** Milliseconds that a task is kept when it has ended, with all that it made. */
    readonly keptMs: number,
  ) {}

  /** Adds a task and answers with its turn, the priority of its ticket; `undefined` where too many wait. */
  async add(task: NewTask, mostWaiting: number): Promise<number | undefined> {
    const { id, asker, listed, pictures, files, request, ...rest } = task;
    const fields = { ...rest, asker, version: TASK_VERSION, request: JSON.stringify(request) };
    if (files !== undefined) {
      await this.link.redis.set(this.link.key(`task:${id}:image`), buffer(files.image), "PX", DAY);
      if (files.mask !== undefined) {
        await this.link.redis.set(this.link.key(`task:${id}:mask`), buffer(files.mask), "PX", DAY);
      }
    }
    const words = Object.entries(fields).flat().map(String);
    const turn = Number(
      await this.link.run("add", [
        id,
        asker,
        mostWaiting,
        pictures,
        listed ? task.deadline - task.created + this.keptMs : 0, // no task is there for longer
        ...words,
      ]),
    );
    if (turn >= 0) return turn;
    await this.link.redis.del(this.link.key(`task:${id}:image`), this.link.key(`task:${id}:mask`));
    return undefined;
  }

  /** The tasks that a ticket stands for from now on; none where others have them, or they have ended. */
  async claim(ticket: string, { owner, pictures, attempts }: {
    readonly owner: string;
    readonly pictures: number;
    readonly attempts: number;
  }): Promise<readonly string[]> {
    const words = [ticket, owner, pictures, Date.now(), attempts, this.keptMs, LOST];
    return await this.link.run("claim", words) as string[];
  }

  /** Logs what was done of a task; false where it has ended or is someone else's by now. */
  async progress(
    id: string,
    { owner, step, batch, events }: {
      readonly owner: string;
      readonly step: number;
      readonly batch: number;
      readonly events: readonly TaskEvent[];
    },
  ): Promise<boolean> {
    const words = events.flatMap(({ event, data, topic = "" }) => [
      event,
      JSON.stringify(data),
      topic,
    ]);
    return await this.link.run("progress", [id, owner, step, batch, ...words]) === 1;
  }

  /** Ends a task; false where it has ended, or is someone else's. */
  async finish(
    id: string,
    { owner = "", state, result = "", error = "" }: TaskEnd,
  ): Promise<boolean> {
    const words = [id, owner, state, Date.now(), this.keptMs, result, error];
    return await this.link.run("finish", words) === 1;
  }

  /** Gives back what a ticket's owner will not do; the loss does not count as an attempt. */
  async handBack(ticket: string, owner: string): Promise<void> {
    await this.link.run("handBack", [ticket, owner]);
  }

  /** A task; `undefined` where there is none, or it ended too long ago. */
  async read(id: string): Promise<Task | undefined> {
    return readTask(id, await this.link.redis.hgetall(this.link.key(`task:${id}`)));
  }

  /** The pictures that a task begins from. */
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

  /** Keeps a part of a result as long as its task. */
  async keep(key: string, bytes: Uint8Array): Promise<void> {
    await this.link.redis.set(this.link.key(key), buffer(bytes), "PX", this.keptMs);
  }

  /** What was kept under a key. */
  async kept(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.link.redis.getBuffer(this.link.key(key));
    return bytes === null ? undefined : bytesOf(bytes);
  }
}

/** A day in milliseconds, longer than any job waits. */
const DAY = 86_400_000;

/** What is said of a task whose workers were lost again and again. */
const LOST = JSON.stringify({
  message: "Cannot complete the job: every worker that began it was lost",
  status: 500,
  code: "workers_lost",
});

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(bytes: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
