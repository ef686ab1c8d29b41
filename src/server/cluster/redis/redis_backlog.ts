/**
 * What waits and what is drawn, in Redis.
 */

import type { Backlog, Duty } from "../store.ts";
import type { RedisLink } from "./redis_link.ts";

/** Lists of tasks. */
export class RedisBacklog implements Backlog {
  constructor(readonly link: RedisLink) {}

  async waiting(model: string): Promise<readonly string[]> {
    return await this.link.redis.zrange(this.link.key(`waiting:${model}`), 0, -1);
  }

  async running(): Promise<readonly string[]> {
    return await this.link.redis.smembers(this.link.key("running"));
  }

  async duty(id: string): Promise<Duty | undefined> {
    const fields = ["model", "ticket", "deadline", "turn", "created"];
    const [[model, ticket, deadline, turn, created], [seconds = 0] = []] = await Promise.all([
      this.link.redis.hmget(this.link.key(`task:${id}`), ...fields),
      this.link.redis.time(),
    ]) as [(string | null)[], number[]];
    if (model === null || model === undefined) return undefined;
    return {
      model,
      ticket: ticket ?? id,
      turn: Number(turn),
      isOverdue: Number(deadline) < Number(seconds) * 1000,
      seconds: (Number(deadline) - Number(created)) / 1000,
    };
  }

  async listed(asker: string): Promise<readonly string[]> {
    const key = this.link.key(`jobs:${asker}`);
    const ids = await this.link.redis.zrevrange(key, 0, -1);
    const there = await Promise.all(
      ids.map((id) => this.link.redis.exists(this.link.key(`task:${id}`))),
    );
    const gone = ids.filter((_, i) => there[i] === 0);
    if (gone.length > 0) await this.link.redis.zrem(key, ...gone);
    return ids.filter((_, i) => there[i] === 1);
  }

  async macsToEnd(id: string): Promise<number> {
    return Number(await this.link.run("macsToEnd", [id]));
  }

  async count(model: string): Promise<number> {
    return await this.link.redis.zcard(this.link.key(`waiting:${model}`));
  }

  async place(model: string, id: string): Promise<number | undefined> {
    return await this.link.redis.zrank(this.link.key(`waiting:${model}`), id) ?? undefined;
  }
}
