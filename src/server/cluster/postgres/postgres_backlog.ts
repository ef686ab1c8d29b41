/**
 * What waits and what is drawn, in Postgres.
 */

import type { Backlog, Duty } from "../store.ts";
import type { Row } from "./driver.ts";
import type { PostgresLink } from "./postgres_link.ts";

/** Lists of tasks. */
export class PostgresBacklog implements Backlog {
  constructor(readonly link: PostgresLink) {}

  async waiting(model: string): Promise<readonly string[]> {
    return idsOf(
      await this.link.rows(
        "SELECT id FROM @task WHERE model = $1 AND state = 'queued' ORDER BY turn, place",
        [model],
      ),
    );
  }

  async running(): Promise<readonly string[]> {
    return idsOf(await this.link.rows("SELECT id FROM @task WHERE state = 'running'"));
  }

  async duty(id: string): Promise<Duty | undefined> {
    const [row] = await this.link.rows(
      `SELECT model, coalesce(ticket, id) AS ticket, turn, deadline < @now_ms() AS overdue,
         deadline - created AS patience FROM @task WHERE id = $1`,
      [id],
    );
    if (row === undefined) return undefined;
    return {
      model: `${row["model"]}`,
      ticket: `${row["ticket"]}`,
      turn: Number(row["turn"]),
      isOverdue: row["overdue"] === true,
      seconds: Number(row["patience"]) / 1000,
    };
  }

  async listed(asker: string): Promise<readonly string[]> {
    return idsOf(
      await this.link.rows(
        `SELECT id FROM @task WHERE asker = $1 AND listed AND (expires IS NULL OR expires > @now_ms())
         ORDER BY created DESC, place DESC`,
        [asker],
      ),
    );
  }

  async macsToEnd(id: string): Promise<number> {
    return Number(await this.link.value("SELECT @macs_to_end($1)", [id]));
  }

  async count(model: string): Promise<number> {
    return Number(
      await this.link.value(
        "SELECT count(*) FROM @task WHERE model = $1 AND state = 'queued'",
        [model],
      ),
    );
  }

  async place(model: string, id: string): Promise<number | undefined> {
    const place = await this.link.value(
      `SELECT (SELECT count(*) FROM @task AS other WHERE other.model = $1 AND other.state = 'queued'
         AND (other.turn, other.place) < (own.turn, own.place))
       FROM @task AS own WHERE own.id = $2 AND own.state = 'queued'`,
      [model, id],
    );
    return place === undefined ? undefined : Number(place);
  }
}

function idsOf(rows: readonly Row[]): readonly string[] {
  return rows.map(({ id }) => `${id}`);
}
