/**
 * What keys use of a shared queue: scripts for Redis, beside those of tasks.
 */

/**
 * Lets a request of an asker pass, of a token bucket by Redis' clock. Arguments: asker, requests a minute, most at
 * once, longest promise in seconds. Answers with 0, or the seconds after which there is a place.
 */
export const PASS = `
local bucket, per_minute, burst = prefix .. 'rate:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local saved, at = unpack(redis.call('HMGET', bucket, 'tokens', 'at'))
local since = math.max(0, now - tonumber(at or now))
local tokens = math.min(burst, tonumber(saved or burst) + since / 60000 * per_minute)
local free = math.floor(tokens)
local seconds = ask('rate:' .. ARGV[1], {
  free = free,
  urgent = tokens >= burst,
  longest = tonumber(ARGV[4]),
  seconds_until = function(place) return (free + 1 + place - tokens) * 60 / per_minute end,
})
if not seconds then tokens = tokens - 1 end
redis.call('HSET', bucket, 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', bucket, math.ceil(burst * 60000 / per_minute))
return seconds or 0
`;

/** Askers of all tasks that wait, each followed by how many they are. */
export const DEPTHS = `
local depths, flat = {}, {}
for _, model in ipairs(redis.call('HKEYS', prefix .. 'models')) do
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'waiting:' .. model, 0, -1)) do
    local asker = redis.call('HGET', task_of(id), 'asker') or ''
    depths[asker] = (depths[asker] or 0) + 1
  end
end
for asker, jobs in pairs(depths) do
  flat[#flat + 1] = asker
  flat[#flat + 1] = jobs
end
return flat
`;
