/**
 * Workers that are there, and what they can draw: keys that expire.
 */

import type { RendererFacts } from "../../../worker/renderer.ts";
import { ANNOUNCE_MS, type WorkerList, type WorkerNote } from "../store.ts";
import { TASK_VERSION } from "../task.ts";
import type { RedisLink } from "./redis_link.ts";

/** The workers of all models. */
export class RedisWorkers implements WorkerList {
  constructor(readonly link: RedisLink) {}

  async announce(worker: string, says: WorkerNote): Promise<void> {
    const { id } = says.facts;
    const note = JSON.stringify({ ...says, version: TASK_VERSION });
    await this.link.redis.multi()
      .set(this.link.key(`worker:${id}:${worker}`), note, "PX", 3 * ANNOUNCE_MS)
      .sadd(this.link.key(`workers:${id}`), worker)
      .hset(this.link.key("models"), id, JSON.stringify(says.facts))
      .exec();
  }

  async leave(worker: string, model: string): Promise<void> {
    await this.link.redis.del(this.link.key(`worker:${model}:${worker}`));
  }

  async models(): Promise<readonly RendererFacts[]> {
    const found = await this.link.redis.hgetall(this.link.key("models"));
    return Object.values(found).map((text) => JSON.parse(text) as RendererFacts); // as announce() wrote it
  }

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
