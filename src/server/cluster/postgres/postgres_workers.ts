/**
 * Workers that are there, and what they can draw: rows that expire.
 */

import type { RendererFacts } from "../../../worker/renderer.ts";
import { ANNOUNCE_MS, type WorkerList, type WorkerNote } from "../store.ts";
import { TASK_VERSION } from "../task.ts";
import type { PostgresLink } from "./postgres_link.ts";

/** The workers of all models. */
export class PostgresWorkers implements WorkerList {
  constructor(readonly link: PostgresLink) {}

  async announce(worker: string, says: WorkerNote): Promise<void> {
    const { id } = says.facts;
    const note = JSON.stringify({ ...says, version: TASK_VERSION });
    await this.link.rows(
      `INSERT INTO @worker VALUES ($1, $2, $3, @now_ms() + $4)
       ON CONFLICT (model, id) DO UPDATE SET note = excluded.note, expires = excluded.expires`,
      [id, worker, note, 3 * ANNOUNCE_MS],
    );
    await this.link.rows(
      `INSERT INTO @model (id, facts) VALUES ($1, $2)
       ON CONFLICT (id) DO UPDATE SET facts = excluded.facts WHERE model.facts IS DISTINCT FROM excluded.facts`,
      [id, JSON.stringify(says.facts)],
    );
  }

  async leave(worker: string, model: string): Promise<void> {
    await this.link.rows("DELETE FROM @worker WHERE model = $1 AND id = $2", [model, worker]);
  }

  async models(): Promise<readonly RendererFacts[]> {
    const rows = await this.link.rows("SELECT facts FROM @model WHERE facts IS NOT NULL");
    return rows.map(({ facts }) => JSON.parse(`${facts}`) as RendererFacts); // as announce() wrote it
  }

  async of(model: string): Promise<readonly WorkerNote[]> {
    const rows = await this.link.rows(
      "SELECT note FROM @worker WHERE model = $1 AND expires > @now_ms()",
      [model],
    );
    return rows.map(({ note }) => JSON.parse(`${note}`) as WorkerNote); // as above
  }
}
