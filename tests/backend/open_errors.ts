/**
 * Prints what opening native and wasm says and what `auto` chooses, with whatever this process may do.
 *
 *     deno run --allow-read tests/backend/open_errors.ts
 */
import { openNative } from "../../src/backend/native.ts";
import { chooseBackend } from "../../src/backend/select.ts";
import { openWasm } from "../../src/backend/wasm.ts";

/** What opening said; empty when it opened. */
async function said(opening: Promise<unknown>): Promise<string> {
  return await opening.then(() => "", (error: unknown) => String(error));
}

const native = await said(openNative());
const wasm = await said(openWasm());
console.log(JSON.stringify({ native, wasm, choice: await chooseBackend() }));
Deno.exit(0); // the runtime's threads would keep the process alive
