/**
 * What keys use of a shared queue: scripts for Redis, beside those of tasks.
 */

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
