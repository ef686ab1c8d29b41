import { assert, assertEquals } from "@std/assert";
import { usageOf } from "../../scripts/parse_args.ts";

Deno.test("usageOf() lists the options of a script with their defaults", () => {
  const options = {
    rounds: { type: "string", default: "3" },
    json: { type: "boolean" },
  } as const;
  assertEquals(usageOf({ options }), "options:\n  --rounds …           (3)\n  --json");
});

Deno.test("a script says its options on --help, and one line for an unknown one", async () => {
  const script = new URL("../../scripts/bench/step.ts", import.meta.url).pathname;
  for (
    const [word, wanted, stream] of [["--help", 0, "stdout"], ["--helq", 2, "stderr"]] as const
  ) {
    const run = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-read",
        "--allow-env",
        "--allow-sys",
        script,
        word,
      ],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(run[stream]);
    assertEquals(run.code, wanted, text);
    assert(text.includes("--rounds") || text.includes("--helq"), text);
    assert(!text.includes("    at "), text);
  }
});
