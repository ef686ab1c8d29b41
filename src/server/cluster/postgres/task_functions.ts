/**
 * What happens to a task in Postgres, each as one function, so that no two processes can do half of it: the same as
 * `../redis/scripts.ts`.
 *
 * Who changes which tasks wait holds the lock of their model; who changes one of them that runs, its row. `'@woken'`
 * is the channel of that name.
 */

/** Tasks whose places are told; those behind hear of it when they come nearer. */
const TOLD = 64;

/** Helpers: a model's lock, a line of a task's log, the places of those that wait, the end of a task. */
const SHARED = `
CREATE FUNCTION lock_model(p_model text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('@model:' || p_model, 0));
END $$;

CREATE FUNCTION append(p_id text, p_event text, p_data text, p_topic text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE v_number integer;
BEGIN
  UPDATE task SET events = events + 1 WHERE id = p_id RETURNING events INTO v_number;
  IF p_topic <> '' THEN DELETE FROM event WHERE task = p_id AND topic = p_topic; END IF;
  INSERT INTO event VALUES (p_id, v_number, p_event, p_data, p_topic);
END $$;

CREATE FUNCTION tell_places(p_model text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM append(id, 'queued', data, 'queued'), pg_notify('@woken', id) FROM (
    SELECT waiting.*, earlier.data AS told FROM (
      SELECT id, json_build_object('job', id, 'queue_position', row_number() OVER line - 1)::text AS data
        FROM task WHERE model = p_model AND state = 'queued'
        WINDOW line AS (ORDER BY turn, place) ORDER BY turn, place LIMIT ${TOLD}
    ) AS waiting LEFT JOIN event AS earlier ON earlier.task = id AND earlier.topic = 'queued'
  ) AS places WHERE told IS DISTINCT FROM data;
END $$;

CREATE FUNCTION end_task(p_id text, p_state text, p_kept bigint, p_result text, p_error text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_model text;
  v_waited boolean;
  v_now bigint := now_ms();
BEGIN
  SELECT model, state = 'queued' INTO v_model, v_waited FROM task WHERE id = p_id;
  UPDATE task SET state = p_state, finished = v_now, expires = v_now + p_kept, watched = NULL,
    result = p_result, error = p_error WHERE id = p_id;
  UPDATE kept SET expires = v_now + p_kept
    WHERE key IN ('task:' || p_id || ':image', 'task:' || p_id || ':mask');
  PERFORM append(p_id, p_state, json_build_object('job', p_id)::text, '');
  PERFORM pg_notify('@woken', p_id), pg_notify('@ended', p_id);
  IF v_waited THEN
    DELETE FROM ticket WHERE id = p_id;
    PERFORM tell_places(v_model);
  END IF;
END $$;
`;

/**
 * Adds a task and its ticket; answers with its turn or, where too many wait, with minus the seconds after which its
 * client should come back. *Source* of turns: Goyal, Vin, Cheng, "Start-time fair queueing", 1996.
 */
const ADD = `
CREATE FUNCTION add_task(p_task json, p_request text, p_room json, p_image bytea, p_mask bytea)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_id text := p_task->>'id';
  v_model text := p_task->>'model';
  v_pictures integer := p_task->>'pictures';
  v_unwatched bigint := p_task->>'unwatched';
  v_now bigint := now_ms();
  v_count bigint;
  v_turn bigint;
  v_place bigint;
BEGIN
  PERFORM lock_model(v_model);
  SELECT turn INTO v_turn FROM task WHERE id = v_id;
  IF FOUND THEN RETURN v_turn; END IF;
  SELECT count(*) INTO v_count FROM task WHERE model = v_model AND state = 'queued';
  v_turn := -ask(v_model, (p_room->>'most')::bigint - v_count,
    v_count < (p_room->>'enough')::float8, (p_room->>'longest')::bigint,
    (p_room->>'speed')::float8, v_model, NULL);
  IF v_turn IS NOT NULL THEN RETURN v_turn; END IF;
  INSERT INTO model (id) VALUES (v_model) ON CONFLICT DO NOTHING;
  INSERT INTO turn AS earlier
    SELECT id, p_task->>'asker', now + v_pictures FROM model WHERE id = v_model
    ON CONFLICT (model, asker)
    DO UPDATE SET ends = greatest(earlier.ends, excluded.ends - v_pictures) + v_pictures
    RETURNING ends - v_pictures INTO v_turn;
  INSERT INTO task (id, model, shape, asker, listed, version, request, pictures, macs, steps, turn,
      created, deadline, watched)
    VALUES (v_id, v_model, p_task->>'shape', p_task->>'asker', (p_task->>'listed')::boolean,
      (p_task->>'version')::integer, p_request, v_pictures, (p_task->>'macs')::float8,
      (p_task->>'steps')::integer, v_turn, v_now, v_now + (p_task->>'patience')::bigint,
      CASE WHEN v_unwatched > 0 THEN v_now + v_unwatched END)
    RETURNING place INTO v_place;
  INSERT INTO ticket (id, model, turn, place) VALUES (v_id, v_model, v_turn, v_place);
  INSERT INTO kept SELECT 'task:' || v_id || ':' || name, bytes, v_now + 86400000
    FROM (VALUES ('image', p_image), ('mask', p_mask)) AS files (name, bytes) WHERE bytes IS NOT NULL;
  IF v_count >= ${TOLD} THEN
    SELECT count(*) INTO v_count FROM task
      WHERE model = v_model AND state = 'queued' AND (turn, place) < (v_turn, v_place);
    PERFORM append(v_id, 'queued', json_build_object('job', v_id, 'queue_position', v_count)::text, 'queued');
  END IF;
  PERFORM tell_places(v_model);
  PERFORM pg_notify('@ticket', v_model);
  RETURN v_turn;
END $$;
`;

/** Logs what a task's owner has done; a part that was told already, to a Postgres that died, is told once. */
const PROGRESS = `
CREATE FUNCTION progress_task(
  p_id text, p_owner text, p_part bigint, p_step integer, p_batch integer,
  p_events text[], p_datas text[], p_topics text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_part bigint;
BEGIN
  SELECT part INTO v_part FROM task
    WHERE id = p_id AND owner = p_owner AND state = 'running' FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  IF v_part >= p_part THEN RETURN true; END IF;
  UPDATE task SET step = p_step, batch = p_batch, part = p_part WHERE id = p_id;
  FOR i IN 1 .. cardinality(p_events) LOOP
    PERFORM append(p_id, p_events[i], p_datas[i], p_topics[i]);
  END LOOP;
  PERFORM pg_notify('@woken', p_id);
  RETURN true;
END $$;
`;

/** Ends a task, once; an empty owner is whoever may. */
const FINISH = `
CREATE FUNCTION finish_task(
  p_id text, p_owner text, p_state text, p_kept bigint, p_result text, p_error text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_model text;
BEGIN
  SELECT model INTO v_model FROM task WHERE id = p_id;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM lock_model(v_model);
  PERFORM FROM task WHERE id = p_id AND state IN ('queued', 'running')
    AND (p_owner = '' OR owner = p_owner) FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM end_task(p_id, p_state, p_kept, p_result, p_error);
  RETURN true;
END $$;
`;

/** What is left to do until a task ends: of itself and, where it waits, of all that runs or waits before it. */
const MACS_TO_END = `
CREATE FUNCTION macs_to_end(p_id text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE v_task task%ROWTYPE; v_ahead bigint;
BEGIN
  SELECT * INTO v_task FROM task WHERE id = p_id;
  IF NOT FOUND THEN RETURN 0; END IF;
  IF v_task.state <> 'queued' THEN
    RETURN v_task.macs * (1 - v_task.step::float8 / greatest(v_task.steps, 1));
  END IF;
  SELECT count(*) INTO v_ahead FROM task WHERE model = v_task.model AND state = 'queued'
    AND (turn, place) < (v_task.turn, v_task.place);
  RETURN v_task.macs + macs_until(v_task.model, v_ahead);
END $$;
`;

/**
 * Cancels watched tasks that nobody follows, or waits as long again where nobody looked for so many milliseconds:
 * Postgres or all workers were away, and servers could not say who follows.
 */
const END_UNWATCHED = `
CREATE FUNCTION end_unwatched(p_kept bigint, p_pause bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := now_ms();
  v_looked bigint;
  v_id text;
BEGIN
  SELECT at INTO v_looked FROM looked FOR UPDATE;
  UPDATE looked SET at = v_now;
  IF v_looked < v_now - p_pause THEN
    UPDATE task SET watched = v_now + p_pause
      WHERE watched < v_now AND state IN ('queued', 'running');
    RETURN;
  END IF;
  FOR v_id IN SELECT id FROM task WHERE watched < v_now ORDER BY model LOOP
    PERFORM finish_task(v_id, '', 'cancelled', p_kept, NULL, NULL);
  END LOOP;
END $$;
`;

/** All of it. */
export const TASKS: string = SHARED + ADD + PROGRESS + FINISH + MACS_TO_END + END_UNWATCHED;
