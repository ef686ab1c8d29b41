/** The example of calibrating a model. */
import { assertEquals, assertMatch } from "@std/assert";
import { parsePlan } from "../../mod.ts";
import { withFolder } from "../cli/captured_run.ts";
import { runWatched } from "../_shim/watched.ts";

const SECONDS = 240; // takes 10 on a free core

Deno.test("the example of calibration writes a plan and says what it gains", async () => {
  await withFolder(async (folder) => {
    const args = ["run", "-A", "examples/calibrate/main.ts", "tests/golden/dit-a"];
    const file = `${folder}/plan.json`;
    const printed = await runWatched([Deno.execPath(), ...args, file], { seconds: SECONDS });
    assertMatch(
      printed,
      /plan\.json: \d\.\d\d× predicted, .*× measured, PSNR \d+\.\d dB to full\n/,
    );
    const { rows, sampler } = parsePlan(await Deno.readTextFile(file));
    assertEquals(rows.length, sampler.times.length);
  });
});
