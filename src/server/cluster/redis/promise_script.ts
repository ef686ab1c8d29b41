/**
 * Promised places in Redis, for all servers at once: what `src/server/promised_places.ts` does in one process.
 *
 * Promises are a sorted set, `promises:NAME`: ranks by the time at which each is due. It is gone when the last
 * promise is. Time is that of Redis, since clocks of servers differ by more than clients are early.
 */

import { EARLY_MS, LATE_MS, MOST_PROMISES } from "../../promised_places.ts";

/**
 * `ask(name, vacancy)`: nothing where a client is let in, else whole seconds after which it should come back. A
 * vacancy has `free`, `urgent` and `seconds_until` as `PromisedPlaces` has them, and the `longest` promise in seconds.
 */
export const PROMISE = `
local function redeem(promises, now)
  local first
  for _, rank in ipairs(redis.call('ZRANGEBYSCORE', promises, '-inf', now + ${EARLY_MS})) do
    first = math.min(first or math.huge, tonumber(rank))
  end
  if first then redis.call('ZREM', promises, first) end
  return first
end
local function ask(name, vacancy)
  local promises, now = prefix .. 'promises:' .. name, now_ms()
  redis.call('ZREMRANGEBYSCORE', promises, '-inf', '(' .. now - ${LATE_MS})
  local rank, free = redeem(promises, now), vacancy.free
  local count = redis.call('ZCARD', promises)
  if free > 0 and (rank or vacancy.urgent or free > count) then return nil end
  local last, before = -1, 0
  for _, other in ipairs(redis.call('ZRANGE', promises, 0, -1)) do
    last = math.max(last, tonumber(other))
    if not rank or tonumber(other) < rank then before = before + 1 end
  end
  local wait = before < free and 0 or vacancy.seconds_until(before - free)
  local seconds = math.max(1, math.ceil(wait))
  if seconds > vacancy.longest then return vacancy.longest end
  if count < ${MOST_PROMISES} then
    redis.call('ZADD', promises, now + seconds * 1000, rank or last + 1)
    redis.call('PEXPIRE', promises, vacancy.longest * 1000 + ${LATE_MS})
  end
  return seconds
end
`;
