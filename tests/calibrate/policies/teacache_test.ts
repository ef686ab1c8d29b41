import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { calibrate, openPipeline } from "../../../mod.ts";
import { fitPolynomial } from "../../../src/calibrate/policies/teacache.ts";

Deno.test("fitPolynomial() finds the coefficients of what follows a polynomial of degree 4", () => {
  const [c0, c1, c2, c3, c4] = [0.26, -3.8, 55, -280, 490];
  const inputs = Array.from({ length: 30 }, (_, i) => 0.01 + 0.01 * i);
  const changes = inputs.map((input) => ({
    input,
    output: c0 + c1 * input + c2 * input ** 2 + c3 * input ** 3 + c4 * input ** 4,
  }));
  const found = fitPolynomial(changes);
  const at = (x: number): number => found.reduce((sum, c, j) => sum + c * x ** j, 0);
  for (const { input, output } of changes) assertAlmostEquals(at(input), output, 1e-2);
});

Deno.test("the coefficients of a plan decide at run time nearly as the plan does, and its first and last steps run", async () => {
  const model = new URL("../../golden/dit-a/", import.meta.url);
  const pipeline = await openPipeline({ model, backend: "wasm" });
  try {
    const policy = "teacache:threshold=3";
    const plan = await calibrate(pipeline, { policy, runs: 2, steps: 12, seed: 3 });
    const texts = plan.rows.map(([row]) => row!.text);
    assertEquals([texts[0], texts.at(-1)], ["......", "......"]);
    assert(texts.includes("+"), `${texts}`);
    const { thresholds } = plan.calibration!;
    const words = Object.entries(thresholds).map(([name, value]) => `${name}=${value}`);
    const asked = { labels: [0, 1], seeds: [3, 4], steps: 12, output: "latents" } as const;
    const run = await pipeline.generate({ ...asked, policy: [policy, ...words].join(",") });
    const reused = texts.filter((text) => text === "+").length;
    for (const count of run.policy!.reused) {
      assert(Math.abs(count - reused) <= 2, `${count}, ${reused}`);
    }
  } finally {
    await pipeline.close();
  }
});
