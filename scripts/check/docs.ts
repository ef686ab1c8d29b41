/**
 * Doc lint over every entry of the package (`deno task lint`).
 *
 * `deno doc --lint` calls a type of an npm package private, which no declaration of ours can mend: a
 * server that returns a `Hono` app says so. Those faults are left out, all others count.
 */

import { readDenoConfig } from "./deno_config.ts";

/** Types of npm packages that our public declarations name. */
const FOREIGN_TYPES: ReadonlySet<string> = new Set(["Hono"]);

/** Faults in what `deno doc --lint` printed, one text each, without those that are not ours. */
function ownFaults(printed: string): string[] {
  return printed.split(/(?=^error\[)/m)
    .filter((block) => block.startsWith("error["))
    .filter((block) =>
      !FOREIGN_TYPES.has(/references private type '(\w+)'/.exec(block)?.[1] ?? "")
    );
}

if (import.meta.main) {
  const { exports } = await readDenoConfig(new URL("../../", import.meta.url));
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...Object.values(exports)],
    env: { NO_COLOR: "1" },
  }).output();
  const printed = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
  const faults = ownFaults(printed);
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) Deno.exit(1);
  console.log(`${Object.keys(exports).length} entries, every symbol documented`);
}
