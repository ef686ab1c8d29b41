import { assertEquals } from "@std/assert";
import { openEngine } from "../../src/engine/engine.ts";
import { runSteps, runToEnd } from "../../src/engine/run.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { FULL, runOf } from "./small_model.ts";

for (const backend of ["wasm", "native"] as const) {
  Deno.test(`runs beside each other that want other graphs of the same modules do not disturb each other, on ${backend}`, async () => {
    const model = new URL("../golden/dit-a/", import.meta.url);
    const engine = await openEngine({ backend, model });
    const run = async (row: string): Promise<Tensor> => {
      const rows = [FULL, row, row, row];
      const columns = { shares: rows.map((each) => each.includes("p") ? [0.5] : null) };
      const made = await runOf(engine.model, engine.executor, rows, columns);
      return (await runToEnd(runSteps(made))).latents;
    };
    const alone = [await run(".p.p.p"), await run(FULL)];
    assertEquals(await Promise.all([run(".p.p.p"), run(FULL)]), alone);
    await engine.close();
  });
}
