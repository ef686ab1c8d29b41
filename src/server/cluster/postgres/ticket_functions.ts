/**
 * Tickets in Postgres: whose turn it is, and who has whose until when.
 */

import { LATE_MS } from "../../promised_places.ts";

/** Takes the ticket whose turn it is: one in nobody's hands, or whose holder gave no sign of life for too long. */
const TAKE = `
CREATE FUNCTION take_ticket(p_model text, p_owner text, p_lease bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE v_id text;
BEGIN
  SELECT id INTO v_id FROM ticket WHERE model = p_model AND until <= now_ms()
    ORDER BY turn, place LIMIT 1 FOR UPDATE SKIP LOCKED;
  UPDATE ticket SET owner = p_owner, until = now_ms() + p_lease WHERE id = v_id;
  RETURN v_id;
END $$;
`;

/** Takes what a ticket stands for: its task and others of its shape, or what an earlier holder took and did not end. */
const CLAIM = `
CREATE FUNCTION take_tasks(p_ticket text, p_pictures integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_first task%ROWTYPE;
  v_other record;
  v_taken text[] := ARRAY[p_ticket];
  v_sum integer;
BEGIN
  SELECT * INTO v_first FROM task WHERE id = p_ticket AND state = 'queued';
  IF NOT FOUND THEN RETURN; END IF;
  v_sum := v_first.pictures;
  FOR v_other IN SELECT id, pictures FROM task
    WHERE model = v_first.model AND shape = v_first.shape AND state = 'queued' AND id <> p_ticket
    ORDER BY turn, place
  LOOP
    CONTINUE WHEN v_sum + v_other.pictures > p_pictures;
    v_taken := v_taken || v_other.id;
    v_sum := v_sum + v_other.pictures;
  END LOOP;
  UPDATE task SET state = 'running', ticket = p_ticket WHERE id = ANY(v_taken);
  DELETE FROM ticket WHERE id = ANY(v_taken) AND id <> p_ticket;
  UPDATE model SET now = greatest(now, v_first.turn) WHERE id = v_first.model;
  PERFORM tell_places(v_first.model);
END $$;

CREATE FUNCTION claim_tasks(
  p_ticket text, p_owner text, p_pictures integer, p_attempts integer, p_kept bigint, p_lost text
) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE v_model text;
BEGIN
  SELECT model INTO v_model FROM ticket WHERE id = p_ticket AND owner = p_owner;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM lock_model(v_model);
  PERFORM FROM ticket WHERE id = p_ticket AND owner = p_owner;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM take_tasks(p_ticket, p_pictures);
  UPDATE task SET attempts = attempts + 1, owner = p_owner, part = 0, started = coalesce(started, now_ms())
    WHERE ticket = p_ticket AND state = 'running' AND owner <> p_owner;
  PERFORM end_task(id, 'failed', p_kept, NULL, p_lost) FROM task
    WHERE ticket = p_ticket AND state = 'running' AND attempts > p_attempts;
  RETURN QUERY SELECT id FROM task WHERE ticket = p_ticket AND state = 'running'
    ORDER BY id <> p_ticket, turn, place;
END $$;
`;

/** Gives back what a worker took and will not do; the loss does not count as an attempt. */
const HAND_BACK = `
CREATE FUNCTION hand_back(p_ticket text, p_owner text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE task SET attempts = attempts - 1, owner = ''
    WHERE ticket = p_ticket AND owner = p_owner AND state = 'running';
END $$;

CREATE FUNCTION release_ticket(p_ticket text, p_owner text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ticket SET until = 0, owner = '' WHERE id = p_ticket AND owner = p_owner;
  PERFORM pg_notify('@ticket', model) FROM ticket WHERE id = p_ticket;
END $$;
`;

/** Deletes what has expired, and the turns of askers who have none ahead of them. */
const SWEEP = `
CREATE FUNCTION sweep() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('@sweep', 0)) THEN RETURN; END IF;
  DELETE FROM task WHERE expires <= now_ms();
  DELETE FROM kept WHERE expires <= now_ms();
  DELETE FROM worker WHERE expires <= now_ms();
  DELETE FROM rate WHERE expires <= now_ms();
  DELETE FROM promise WHERE due < now_ms() - ${LATE_MS};
  DELETE FROM turn USING model WHERE turn.model = model.id AND turn.ends <= model.now;
END $$;
`;

/** All of it. */
export const TICKETS: string = TAKE + CLAIM + HAND_BACK + SWEEP;
