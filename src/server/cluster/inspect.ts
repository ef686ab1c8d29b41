/**
 * What is to be known of a queue before servers share it.
 */

import { RedisLink } from "./redis/redis_link.ts";

/**
 * Its version, and what a careful operator would change, in one line.
 *
 * @throws {BackendError} When it cannot be reached, refuses the password, or is too old.
 */
export async function inspectQueue(url: string): Promise<string> {
  const link = await RedisLink.open({ url });
  try {
    const [, version] = /redis_version:(\S+)/.exec(await link.redis.info("server")) ?? [];
    return [`Redis ${version}`, ...await link.warnings()].join("; ");
  } finally {
    link.close();
  }
}
