/**
 * Workers that are there, and what they can draw.
 */

import type { RendererFacts } from "../../worker/renderer.ts";
import type { RedisLink } from "./redis_link.ts";
import { TASK_VERSION } from "./task.ts";

/** What a worker says of itself. */
export interface WorkerNote {
  readonly facts: RendererFacts;
  /** Multiply-accumulates a second; null before it has drawn anything. */
  readonly speed: number | null;
}

/** Milliseconds between a worker's signs of life. */
export const ANNOUNCE_MS = 5000;

/** The workers of all models. */
export class Workers {
  constructor(readonly link: RedisLink) {}

  /** Says that a worker is there, and what it can draw; forgotten when it has not said so for a while. */
  async announce(worker: string, says: WorkerNote): Promise<void> {
    const { id } = says.facts;
    const note = JSON.stringify({ ...says, version: TASK_VERSION });
    await this.link.redis.multi()
      .set(this.link.key(`worker:${id}:${worker}`), note, "PX", 3 * ANNOUNCE_MS)
      .sadd(this.link.key(`workers:${id}`), worker)
      .hset(this.link.key("models"), id, JSON.stringify(says.facts))
      .exec();
  }

  /** Takes back what a worker said. */
  async leave(worker: string, model: string): Promise<void> {
    await this.link.redis.del(this.link.key(`worker:${model}:${worker}`));
  }

  /** Models that workers have, or had. */
  async models(): Promise<readonly RendererFacts[]> {
    const found = await this.link.redis.hgetall(this.link.key("models"));
    return Object.values(found).map((text) => JSON.parse(text) as RendererFacts); // as announce() wrote it
  }

  /** Workers of a model that are there. */
  async of(model: string): Promise<readonly WorkerNote[]> {
    const names = await this.link.redis.smembers(this.link.key(`workers:${model}`));
    const notes = await Promise.all(names.map(async (name) => {
      const note = await this.link.redis.get(this.link.key(`worker:${model}:${name}`));
      if (note === null) await this.link.redis.srem(this.link.key(`workers:${model}`), name);
      return note;
    }));
    return notes.flatMap((note) => note === null ? [] : [JSON.parse(note) as WorkerNote]); // as above
  }
}
