/**
 * What happens to a task in Redis, each as one script, so that no two processes can do half of it.
 *
 * Keys, all after a prefix: `task:ID` (hash), `task:ID:log` (stream of its events), `waiting:MODEL` and
 * `waiting:MODEL:SHAPE` (sorted by turn), `running` (set), `claim:ID` (what is open of the batch that the ticket ID holds),
 * `turns:MODEL` (virtual times), `jobs:ASKER` (ids by time), `promises:MODEL` (ranks by time), `watched` (ids by when
 * each is cancelled unless somebody follows it), `looked` (there for a while after somebody looked at those). Scripts
 * name keys that they find in others, so Redis must be one server (with replicas, if you like), not a cluster of shards.
 *
 * *Source:* Goyal, Vin, Cheng, "Start-time fair queueing", 1996: a job's turn is the later of the present
 * virtual time and the end of the asker's last job.
 */

import { PROMISE } from "./promise_script.ts";
import { DEPTHS, PASS } from "./usage_scripts.ts";

/** Priorities of BullMQ end here; later turns wait in the order in which they came. */
const LAST_TURN = 2_000_000;

/** Shared by all scripts. Events of which only the newest matters have a topic. */
const SHARED = `
local prefix = KEYS[1]
local function now_ms()
  local seconds, micros = unpack(redis.call('TIME'))
  return seconds * 1000 + math.floor(micros / 1000)
end
local function task_of(id) return prefix .. 'task:' .. id end
local function is_open(state) return state == 'queued' or state == 'running' end
local function append(id, event, data, topic)
  local task = task_of(id)
  local number = redis.call('HINCRBY', task, 'events', 1)
  if topic ~= '' then
    local earlier = redis.call('HGET', task, 'topic:' .. topic)
    if earlier then redis.call('XDEL', task .. ':log', earlier .. '-0') end
    redis.call('HSET', task, 'topic:' .. topic, number)
  end
  redis.call('XADD', task .. ':log', number .. '-0', 'event', event, 'data', data)
end
local function waiting_of(id)
  local model, shape = unpack(redis.call('HMGET', task_of(id), 'model', 'shape'))
  return prefix .. 'waiting:' .. model, prefix .. 'waiting:' .. model .. ':' .. shape, model
end
local function tell_places(model)
  for place, id in ipairs(redis.call('ZRANGE', prefix .. 'waiting:' .. model, 0, 63)) do
    append(id, 'queued', cjson.encode({ job = id, queue_position = place - 1 }), 'queued')
    redis.call('PUBLISH', prefix .. 'woken', id)
  end
end
local function finish(id, state, kept, result, failure)
  local task = task_of(id)
  local all, alike, model = waiting_of(id)
  redis.call('HSET', task, 'state', state, 'finished', now_ms(), 'result', result, 'error', failure)
  local waited = redis.call('ZREM', all, id)
  redis.call('ZREM', alike, id)
  redis.call('SREM', prefix .. 'running', id)
  redis.call('ZREM', prefix .. 'watched', id)
  append(id, state, cjson.encode({ job = id }), '')
  local ticket = redis.call('HGET', task, 'ticket')
  if ticket then redis.call('LREM', prefix .. 'claim:' .. ticket, 0, id) end
  redis.call('PEXPIRE', task, kept)
  redis.call('PEXPIRE', task .. ':log', kept)
  redis.call('PEXPIRE', task .. ':image', kept)
  redis.call('PEXPIRE', task .. ':mask', kept)
  redis.call('PUBLISH', prefix .. 'woken', id)
  redis.call('PUBLISH', prefix .. 'ended', id)
  if waited == 1 then tell_places(model) end
end
local function macs_left(id, model)
  local own, macs, step, steps = unpack(redis.call('HMGET', task_of(id), 'model', 'macs', 'step', 'steps'))
  if own ~= model then return 0 end
  return tonumber(macs) * (1 - tonumber(step or 0) / tonumber(steps))
end
local function macs_until(model, after)
  local macs, all = 0, 0
  for _, id in ipairs(redis.call('SMEMBERS', prefix .. 'running')) do macs = macs + macs_left(id, model) end
  local waiting = redis.call('ZRANGE', prefix .. 'waiting:' .. model, 0, -1)
  for place, id in ipairs(waiting) do
    local own = macs_left(id, model)
    all = all + own
    if place <= after then macs = macs + own end
  end
  local later = math.max(0, after - #waiting) * all / math.max(1, #waiting)
  return macs + later
end
${PROMISE}`;

/**
 * Adds a task. Arguments: id, asker, pictures, for how many milliseconds it may be listed, after how many without a
 * follower it is cancelled (0 never), milliseconds to its deadline, most that wait, how many are enough for the
 * renderers, their multiply-accumulates a second, longest promise in seconds, then fields with their values. Answers with its turn or,
 * where too many wait, with minus the seconds after which its client should come back.
 */
const ADD = `
local id, asker = ARGV[1], ARGV[2]
local pictures, life, unwatched, patience = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local most, enough, speed, longest = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local task = task_of(id)
if redis.call('EXISTS', task) == 1 then return tonumber(redis.call('HGET', task, 'turn')) end
local fields = {}
for i = 11, #ARGV do fields[#fields + 1] = ARGV[i] end
local created = now_ms()
redis.call('HSET', task, 'state', 'queued', 'pictures', pictures, 'attempts', 0,
  'created', created, 'deadline', created + patience, unpack(fields))
local all, alike, model = waiting_of(id)
local count = redis.call('ZCARD', all)
local seconds = ask(model, {
  free = most - count,
  urgent = count < enough,
  longest = longest,
  seconds_until = function(place) return macs_until(model, place) / speed end,
})
if seconds then
  redis.call('DEL', task)
  return -seconds
end
local turns = prefix .. 'turns:' .. model
if count == 0 and tonumber(redis.call('HGET', turns, 'now') or 0) > ${LAST_TURN / 2} then
  redis.call('DEL', turns)
end
local now = tonumber(redis.call('HGET', turns, 'now') or 0)
local turn = math.max(now, tonumber(redis.call('HGET', turns, 'asker:' .. asker) or 0))
redis.call('HSET', turns, 'asker:' .. asker, turn + pictures)
turn = math.min(turn, ${LAST_TURN})
redis.call('HSET', task, 'turn', turn)
local score = turn * 1048576 + redis.call('HINCRBY', turns, 'count', 1) % 1048576
redis.call('ZADD', all, score, id)
redis.call('ZADD', alike, score, id)
if unwatched > 0 then redis.call('ZADD', prefix .. 'watched', now_ms() + unwatched, id) end
if life > 0 then
  local jobs = prefix .. 'jobs:' .. asker
  redis.call('ZREMRANGEBYSCORE', jobs, '-inf', created - life)
  redis.call('ZADD', jobs, created, id)
  redis.call('PEXPIRE', jobs, life)
end
local place = redis.call('ZRANK', all, id)
append(id, 'queued', cjson.encode({ job = id, queue_position = place }), 'queued')
if place < redis.call('ZCARD', all) - 1 then tell_places(model) end
return turn
`;

/**
 * Takes what a ticket stands for: its task and others of its shape, or what an earlier holder of the ticket
 * took and did not end. Arguments: ticket, owner, most pictures, most attempts, milliseconds that ends are
 * kept, what to say of a task that was lost too often. Answers with the ids.
 */
const CLAIM = `
local ticket, owner, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local claim = prefix .. 'claim:' .. ticket
if redis.call('EXISTS', claim) == 0 and redis.call('HGET', task_of(ticket), 'state') == 'queued' then
  local all, alike, model = waiting_of(ticket)
  local sum = tonumber(redis.call('HGET', task_of(ticket), 'pictures'))
  local taken = { ticket }
  for _, id in ipairs(redis.call('ZRANGE', alike, 0, -1)) do
    local pictures = tonumber(redis.call('HGET', task_of(id), 'pictures'))
    if id ~= ticket and sum + pictures <= most then
      taken[#taken + 1] = id
      sum = sum + pictures
    end
  end
  for _, id in ipairs(taken) do
    redis.call('ZREM', all, id)
    redis.call('ZREM', alike, id)
    redis.call('RPUSH', claim, id)
    redis.call('HSET', task_of(id), 'ticket', ticket)
  end
  local turns = prefix .. 'turns:' .. model
  local turn = tonumber(redis.call('HGET', task_of(ticket), 'turn'))
  redis.call('HSET', turns, 'now', math.max(turn, tonumber(redis.call('HGET', turns, 'now') or 0)))
  tell_places(model)
end
local open = {}
for _, id in ipairs(redis.call('LRANGE', claim, 0, -1)) do
  local task = task_of(id)
  if is_open(redis.call('HGET', task, 'state')) then
    if redis.call('HINCRBY', task, 'attempts', 1) > tonumber(ARGV[4]) then
      finish(id, 'failed', ARGV[5], '', ARGV[6])
    else
      redis.call('HSET', task, 'state', 'running', 'owner', owner)
      redis.call('HSETNX', task, 'started', now_ms())
      redis.call('SADD', prefix .. 'running', id)
      open[#open + 1] = id
    end
  end
end
return open
`;

/** Logs what a task's owner has done. Arguments: id, owner, step, batch, then event, data and topic of each. */
const PROGRESS = `
local id, owner = ARGV[1], ARGV[2]
local state, holder = unpack(redis.call('HMGET', task_of(id), 'state', 'owner'))
if state ~= 'running' or holder ~= owner then return 0 end
redis.call('HSET', task_of(id), 'step', ARGV[3], 'batch', ARGV[4])
for i = 5, #ARGV, 3 do append(id, ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
redis.call('PUBLISH', prefix .. 'woken', id)
return 1
`;

/**
 * Ends a task, once. Arguments: id, owner or nothing for whoever may, state, milliseconds that it is kept,
 * result, error.
 */
const FINISH = `
local id, owner = ARGV[1], ARGV[2]
local state, holder = unpack(redis.call('HMGET', task_of(id), 'state', 'owner'))
if not is_open(state) or (owner ~= '' and holder ~= owner) then return 0 end
finish(id, ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1
`;

/** Gives back what a worker took and will not do. Arguments: ticket, owner. */
const HAND_BACK = `
local claim = prefix .. 'claim:' .. ARGV[1]
for _, id in ipairs(redis.call('LRANGE', claim, 0, -1)) do
  local state, holder = unpack(redis.call('HMGET', task_of(id), 'state', 'owner'))
  if state == 'running' and holder == ARGV[2] then
    redis.call('HINCRBY', task_of(id), 'attempts', -1)
    redis.call('HSET', task_of(id), 'owner', '')
  end
end
return 1
`;

/**
 * What is left to do until a task ends: of itself and, where it waits, of all that runs or waits before it, in
 * multiply-accumulates. Argument: id. Numbers of Lua lose their fraction on the way, not their size.
 */
const MACS_TO_END = `
local id = ARGV[1]
local model = redis.call('HGET', task_of(id), 'model')
if not model then return 0 end
local place = redis.call('ZRANK', prefix .. 'waiting:' .. model, id)
return macs_left(id, model) + (place and macs_until(model, place) or 0)
`;

/** Says that somebody follows a watched task. Arguments: id, for how many milliseconds that is believed. */
const FOLLOW = `
return redis.call('ZADD', prefix .. 'watched', 'XX', 'GT', now_ms() + tonumber(ARGV[2]), ARGV[1])
`;

/**
 * Cancels watched tasks that nobody follows, or waits as long again where nobody looked for so long. Arguments:
 * milliseconds that ends are kept, milliseconds that are so long.
 */
const END_UNWATCHED = `
local watched, now = prefix .. 'watched', now_ms()
local attentive = redis.call('EXISTS', prefix .. 'looked') == 1
redis.call('SET', prefix .. 'looked', 1, 'PX', ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', watched, '-inf', now)) do
  if attentive then
    finish(id, 'cancelled', ARGV[1], '', '')
  else
    redis.call('ZADD', watched, now + tonumber(ARGV[2]), id)
  end
end
return 1
`;

/** Each script as Redis gets it. */
export const SCRIPTS = {
  add: SHARED + ADD,
  claim: SHARED + CLAIM,
  progress: SHARED + PROGRESS,
  finish: SHARED + FINISH,
  handBack: SHARED + HAND_BACK,
  depths: SHARED + DEPTHS,
  pass: SHARED + PASS,
  macsToEnd: SHARED + MACS_TO_END,
  follow: SHARED + FOLLOW,
  endUnwatched: SHARED + END_UNWATCHED,
} as const;

/** Name of a script. */
export type ScriptName = keyof typeof SCRIPTS;
