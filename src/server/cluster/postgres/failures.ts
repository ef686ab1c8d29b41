/**
 * What failures of Postgres mean.
 */

/**
 * Classes of SQLSTATE after which the same statement may succeed later: connection, rollback by other transactions,
 * too few resources, an operator who stopped it, the machine. *Source:* PostgreSQL's manual, appendix A.
 */
const PASSING = ["08", "40", "53", "57", "58"];

/** Whether Postgres is away, rather than that it refuses what was asked. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error);
  return code === undefined || !/^[0-9A-Z]{5}$/.test(code) || PASSING.includes(code.slice(0, 2));
}

/** Why something failed, in words; of several addresses that were tried, the first. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  if (error.message.includes("client password must be")) return "it asks for a password"; // the driver's own words name its protocol
  return error.message === "" ? codeOf(error) ?? error.name : error.message;
}

/** SQLSTATE of what Postgres says, the system's code of what its connection says. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
