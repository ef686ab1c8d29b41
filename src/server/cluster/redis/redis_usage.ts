/**
 * What keys use of a shared queue, in Redis.
 */

import type { Allowance, Usage } from "../store.ts";
import type { RedisLink } from "./redis_link.ts";

/** Counts of askers. */
export class RedisUsage implements Usage {
  constructor(readonly link: RedisLink) {}

  async pass(
    asker: string,
    { perMinute, burst, longest }: Allowance,
  ): Promise<number | undefined> {
    const seconds = Number(await this.link.run("pass", [asker, perMinute, burst, longest]));
    return seconds === 0 ? undefined : seconds;
  }

  async depths(): Promise<ReadonlyMap<string, number>> {
    const flat = await this.link.run("depths", []) as (string | number)[]; // as the script answers
    const depths = new Map<string, number>();
    for (let i = 0; i < flat.length; i += 2) depths.set(`${flat[i]}`, Number(flat[i + 1]));
    return depths;
  }
}
