/**
 * What keys use of a shared queue, in Postgres.
 */

import type { Allowance, Usage } from "../store.ts";
import type { PostgresLink } from "./postgres_link.ts";

/** Counts of askers. */
export class PostgresUsage implements Usage {
  constructor(readonly link: PostgresLink) {}

  async pass(
    asker: string,
    { perMinute, burst, longest }: Allowance,
  ): Promise<number | undefined> {
    const values = [asker, perMinute, burst, longest];
    const seconds = await this.link.value("SELECT @pass($1, $2, $3, $4)", values);
    return seconds === undefined ? undefined : Number(seconds);
  }

  async depths(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.link.rows(
      "SELECT asker, count(*) AS jobs FROM @task WHERE state = 'queued' GROUP BY asker",
    );
    return new Map(rows.map(({ asker, jobs }) => [`${asker}`, Number(jobs)]));
  }
}
