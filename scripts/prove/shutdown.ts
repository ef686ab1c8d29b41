/**
 * Proves that SIGTERM ends the server well on each backend, within seconds and never by a crash: once it is
 * ready with exit code 0, while it loads with 143, which is how a process ends that leaves SIGTERM as it is.
 *
 * Run: `deno task prove:shutdown [COUNT]` (50 of each unless given). Prints a table, and exits with 1 when one
 * did not end well. The last table is in README.md beside this file.
 */

import type { BackendName } from "../../src/backend/backend.ts";
import { startServer } from "../bench/served.ts";
import { usableBackends } from "../bench/usable_backends.ts";

/** How some shutdowns of one kind went. */
export interface Shutdowns {
  /** `--backend`; `bare` is auto where no packages are installed, which then is wasm. */
  readonly backend: BackendName | "auto" | "bare";
  /** When the server was told to stop. */
  readonly when: "ready" | "loading";
  /** Seconds from the signal to the end, of each. */
  readonly seconds: readonly number[];
  /** Exit codes that should not be. */
  readonly failures: readonly number[];
}

/** Longest that loading takes where it is not disturbed; stops while loading are spread over it. */
const LOADING_MS = 1500;

/** Starts and stops so many servers, one after another. */
export async function shutDown(
  backend: Shutdowns["backend"],
  { when, count }: { readonly when: Shutdowns["when"]; readonly count: number },
): Promise<Shutdowns> {
  const seconds: number[] = [];
  const failures: number[] = [];
  const until = when === "ready" ? "ready" : "listening";
  const args = ["--backend", backend === "bare" ? "auto" : backend, "--quiet"];
  const cwd = backend === "bare" ? new URL("file:///") : undefined;
  for (let i = 0; i < count; i++) {
    const server = await startServer(args, { until, ...(cwd && { cwd }) });
    const wait = when === "ready" ? 0 : LOADING_MS * i / count;
    await new Promise((resolve) => setTimeout(resolve, wait));
    const told = performance.now();
    const { code } = await server.stop();
    seconds.push((performance.now() - told) / 1000);
    const well = code === 0 || (when === "loading" && code === 143);
    if (!well) failures.push(code);
  }
  return { backend, when, seconds, failures };
}

/** The table, in Markdown. */
export function shutdownTable(rows: readonly Shutdowns[]): string {
  const lines = rows.map(({ backend, when, seconds, failures }) => {
    const most = Math.max(...seconds).toFixed(1);
    const codes = failures.length === 0 ? "–" : failures.join(", ");
    const well = `${seconds.length - failures.length} of ${seconds.length}`;
    return `| ${backend} | ${when} | ${well} | ${codes} | ${most} s |`;
  });
  const head = ["| --backend | told to stop | ended well | other codes | longest end |"];
  return [...head, "| --- | --- | --- | --- | --- |", ...lines].join("\n");
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 50);
  const rows: Shutdowns[] = [];
  for (const backend of ["auto", "bare", ...await usableBackends()] as const) {
    for (const when of ["ready", "loading"] as const) {
      rows.push(await shutDown(backend, { when, count }));
      console.error(shutdownTable(rows.slice(-1)).split("\n").at(-1));
    }
  }
  console.log(shutdownTable(rows));
  if (rows.some(({ failures }) => failures.length > 0)) Deno.exit(1);
}
