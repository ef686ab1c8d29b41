/**
 * Prints what opening native says and what `auto` chooses, where no `node_modules` is near.
 *
 *     deno run --allow-read --allow-env --allow-sys tests/backend/open_errors.ts
 */
import { openNative } from "../../src/backend/native.ts";
import { chooseBackend } from "../../src/backend/select.ts";

const said = await openNative().then(() => "opened", (error: unknown) => String(error));
console.log(JSON.stringify({ said, choice: await chooseBackend() }));
