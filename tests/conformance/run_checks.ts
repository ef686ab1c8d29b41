/**
 * Runs checks of the suite on a provider, in Deno, Bun or Node; one JSON line for each.
 *
 *     deno run -A tests/conformance/run_checks.ts wasm ["part of a check's name"]
 */
import process from "node:process";
import type { Backend } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { runCheck } from "./check.ts";
import { CHECKS } from "./checks.ts";

const [name, part = ""] = process.argv.slice(2);
if (name !== "wasm" && name !== "native" && name !== "webgpu") throw new RangeError(`${name}`);
const open = async (): Promise<Backend> => (await openBackend({ backend: name })).backend;

for (const check of CHECKS.filter((check) => check.name.includes(part))) {
  const error = await runCheck(check, open).then(() => undefined, String);
  console.log(JSON.stringify({ name: check.name, ...(error !== undefined && { error }) }));
}
process.exit(0); // threads and a device would keep the process alive
