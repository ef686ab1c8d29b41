/** The one suite that every provider passes: a `Deno.test` for each check. */
import { assertEquals } from "@std/assert";
import type { Backend, BackendName } from "../../src/backend/backend.ts";
import { deno, runWatched } from "../_shim/watched.ts";
import { type BackendCheck, runCheck } from "./check.ts";
import { CHECKS } from "./checks.ts";

/** Registers the suite; with `ignore` its tests are named but not run. */
export function backendSuite(
  name: BackendName,
  open: () => Promise<Backend>,
  { ignore }: { readonly ignore: boolean },
): void {
  for (const check of CHECKS) {
    const run = check.blocks ? () => runApart(name, check) : () => runCheck(check, open);
    Deno.test(`${name}: ${check.name}`, { ignore }, run);
  }
}

async function runApart(provider: BackendName, { name }: BackendCheck): Promise<void> {
  const script = new URL("run_checks.ts", import.meta.url);
  const printed = await runWatched(deno(script, provider, name), { seconds: 60 }); // it takes 1 to 5
  assertEquals(JSON.parse(printed), { name });
}
