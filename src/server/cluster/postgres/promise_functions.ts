/**
 * Promised places in Postgres, for all servers at once: what `src/server/promised_places.ts` does in one process.
 */

import { EARLY_MS, LATE_MS, MOST_PROMISES } from "../../promised_places.ts";

/**
 * `macs_until(model, after)` is what runs and what waits up to a place, in multiply-accumulates. `ask(name, free,
 * urgent, longest, speed, model, first)` is null where a client is let in, else whole seconds after which it should
 * come back, `longest` at most: what is until a place, over what is done a second. Of a model that is
 * multiply-accumulates, without one the places before it and `first`. `pass(asker, a minute, burst, longest)` asks so
 * for a request, of a token bucket.
 */
export const PROMISES = `
CREATE FUNCTION macs_until(p_model text, p_after bigint) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
  v_running double precision;
  v_macs double precision;
  v_all double precision;
  v_count bigint;
BEGIN
  IF p_model IS NULL THEN RETURN NULL; END IF;
  SELECT coalesce(sum(macs * (1 - step::float8 / greatest(steps, 1))), 0) INTO v_running
    FROM task WHERE model = p_model AND state = 'running';
  SELECT coalesce(sum(macs) FILTER (WHERE nth <= p_after), 0), coalesce(sum(macs), 0), count(*)
    INTO v_macs, v_all, v_count
    FROM (SELECT macs, row_number() OVER (ORDER BY turn, place) AS nth
            FROM task WHERE model = p_model AND state = 'queued') AS waiting;
  RETURN v_running + v_macs + greatest(0, p_after - v_count) * v_all / greatest(1, v_count);
END $$;

CREATE FUNCTION ask(
  p_name text, p_free bigint, p_urgent boolean, p_longest bigint, p_speed double precision,
  p_model text, p_first double precision
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := now_ms();
  v_rank bigint;
  v_count bigint;
  v_before bigint;
  v_last bigint;
  v_seconds bigint := 1;
BEGIN
  DELETE FROM promise WHERE name = p_name AND due < v_now - ${LATE_MS};
  SELECT min(rank) INTO v_rank FROM promise WHERE name = p_name AND due <= v_now + ${EARLY_MS};
  DELETE FROM promise WHERE name = p_name AND rank = v_rank;
  SELECT count(*), count(*) FILTER (WHERE v_rank IS NULL OR rank < v_rank), coalesce(max(rank), -1)
    INTO v_count, v_before, v_last FROM promise WHERE name = p_name;
  IF p_free > 0 AND (v_rank IS NOT NULL OR p_urgent OR p_free > v_count) THEN RETURN NULL; END IF;
  IF v_before >= p_free THEN
    v_seconds := greatest(1, ceil(
      coalesce(macs_until(p_model, v_before - p_free), p_first + v_before - p_free) / p_speed));
  END IF;
  IF v_seconds > p_longest THEN RETURN p_longest; END IF;
  IF v_count < ${MOST_PROMISES} THEN
    INSERT INTO promise VALUES (p_name, coalesce(v_rank, v_last + 1), v_now + v_seconds * 1000);
  END IF;
  RETURN v_seconds;
END $$;

CREATE FUNCTION pass(
  p_asker text, p_minute double precision, p_burst double precision, p_longest bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := now_ms();
  v_tokens double precision;
  v_free bigint;
  v_seconds bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('@rate:' || p_asker, 0));
  SELECT least(p_burst, tokens + greatest(0, v_now - at) / 60000.0 * p_minute) INTO v_tokens
    FROM rate WHERE asker = p_asker;
  v_tokens := coalesce(v_tokens, p_burst);
  v_free := floor(v_tokens);
  v_seconds := ask('rate:' || p_asker, v_free, v_tokens >= p_burst, p_longest, p_minute / 60, NULL,
    v_free + 1 - v_tokens);
  IF v_seconds IS NULL THEN v_tokens := v_tokens - 1; END IF;
  INSERT INTO rate VALUES (p_asker, v_tokens, v_now, v_now + ceil(p_burst * 60000 / p_minute))
    ON CONFLICT (asker) DO UPDATE
    SET tokens = excluded.tokens, at = excluded.at, expires = excluded.expires;
  RETURN v_seconds;
END $$;
`;
