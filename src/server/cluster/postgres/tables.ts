/**
 * Tables and functions of a queue in Postgres, made where they are missing.
 */

import { BackendError } from "../../../errors.ts";
import type { PgPool } from "./driver.ts";
import { PROMISES } from "./promise_functions.ts";
import { TASKS } from "./task_functions.ts";
import { TICKETS } from "./ticket_functions.ts";

/**
 * Times are milliseconds by Postgres' own clock, for those of its clients may be minutes apart. Rows with `expires`
 * are as good as gone from then on, and deleted from time to time.
 */
const TABLES = `
CREATE TABLE model (
  id text PRIMARY KEY,
  facts text,
  now bigint NOT NULL DEFAULT 0
);
CREATE TABLE turn (
  model text, asker text, ends bigint NOT NULL,
  PRIMARY KEY (model, asker)
);
CREATE TABLE task (
  id text PRIMARY KEY,
  model text NOT NULL, shape text NOT NULL, asker text NOT NULL, listed boolean NOT NULL,
  version integer NOT NULL, request text NOT NULL,
  pictures integer NOT NULL, macs double precision NOT NULL, steps integer NOT NULL,
  turn bigint NOT NULL, place bigint GENERATED ALWAYS AS IDENTITY,
  state text NOT NULL DEFAULT 'queued', owner text NOT NULL DEFAULT '', ticket text,
  attempts integer NOT NULL DEFAULT 0, step integer NOT NULL DEFAULT 0, batch integer,
  events integer NOT NULL DEFAULT 0, part bigint NOT NULL DEFAULT 0,
  created bigint NOT NULL, deadline bigint NOT NULL, started bigint, finished bigint, expires bigint,
  watched bigint,
  result text, error text
);
CREATE INDEX task_waiting ON task (model, turn, place) WHERE state = 'queued';
CREATE INDEX task_running ON task (ticket) WHERE state = 'running';
CREATE INDEX task_listed ON task (asker, created) WHERE listed;
CREATE INDEX task_expires ON task (expires) WHERE expires IS NOT NULL;
CREATE INDEX task_watched ON task (watched) WHERE watched IS NOT NULL;
CREATE TABLE event (
  task text REFERENCES task ON DELETE CASCADE, number integer,
  event text NOT NULL, data text NOT NULL, topic text NOT NULL,
  PRIMARY KEY (task, number)
);
CREATE TABLE ticket (
  id text PRIMARY KEY REFERENCES task ON DELETE CASCADE,
  model text NOT NULL, turn bigint NOT NULL, place bigint NOT NULL,
  owner text NOT NULL DEFAULT '', until bigint NOT NULL DEFAULT 0
);
CREATE INDEX ticket_next ON ticket (model, turn, place);
CREATE TABLE kept (key text PRIMARY KEY, bytes bytea NOT NULL, expires bigint NOT NULL);
ALTER TABLE kept ALTER bytes SET STORAGE EXTERNAL;
CREATE INDEX kept_expires ON kept (expires);
CREATE TABLE worker (
  model text, id text, note text NOT NULL, expires bigint NOT NULL,
  PRIMARY KEY (model, id)
);
CREATE TABLE promise (
  name text, rank bigint, due bigint NOT NULL,
  PRIMARY KEY (name, rank)
);
CREATE TABLE rate (
  asker text PRIMARY KEY, tokens double precision NOT NULL, at bigint NOT NULL, expires bigint NOT NULL
);
CREATE TABLE looked (at bigint NOT NULL);
INSERT INTO looked VALUES (0);
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql AS $$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;
`;

/** What makes a schema of version i of one of version i - 1. */
const VERSIONS: readonly string[] = [TABLES + PROMISES + TASKS + TICKETS];

/**
 * Makes what is missing, one process at a time.
 *
 * @throws {BackendError} When a newer release made the tables.
 */
export async function makeTables(pool: PgPool, schema: string): Promise<void> {
  const client = await pool.connect();
  try {
    if (expectKnown(await versionOf(client, schema)) === VERSIONS.length) return; // without any right to make tables
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [schema]);
    const found = expectKnown(await versionOf(client, schema)); // another may have made them meanwhile
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}; SET LOCAL search_path = ${schema}`);
    if (found === 0) await client.query("CREATE TABLE version (number integer NOT NULL)");
    for (const made of VERSIONS.slice(found)) await client.query(functionsOf(made, schema));
    await client.query("DELETE FROM version");
    await client.query("INSERT INTO version VALUES ($1)", [VERSIONS.length]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {}); // where the connection is lost
    throw error;
  } finally {
    client.release();
  }
}

/** Version of the tables; 0 where there are none. */
async function versionOf(
  client: Pick<PgPool, "query">,
  schema: string,
): Promise<number> {
  // Not to_regclass(): what it has not found it may not find again, though another has made it while we waited.
  const { rows: [found] } = await client.query(
    "SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'version'",
    [schema],
  );
  if (found === undefined) return 0;
  const { rows: [row] } = await client.query(`SELECT number FROM ${schema}.version`);
  return Number(row?.["number"] ?? 0);
}

function expectKnown(version: number): number {
  if (version <= VERSIONS.length) return version;
  throw new BackendError(
    `its tables must be of version ${VERSIONS.length} or older: current value is ${version}, of a newer release`,
  );
}

/** Functions find their tables whoever calls them, and tell on channels of their schema. */
function functionsOf(sql: string, schema: string): string {
  return sql
    .replaceAll("LANGUAGE plpgsql", `LANGUAGE plpgsql SET search_path = ${schema}`)
    .replaceAll("'@", `'${schema}_`);
}
