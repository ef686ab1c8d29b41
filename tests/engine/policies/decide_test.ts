/** Rules that are asked at each step, by hand. */

import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { FIRST_BLOCK } from "../../../src/engine/policies/first_block.ts";
import type { Decide, DecidedRun } from "../../../src/engine/policies/policy.ts";
import { frontOf, modulatedNorm, relativeChange } from "../../../src/engine/policies/signals.ts";
import { chooseRunTimePolicy, RUN_TIME_POLICIES } from "../../../src/engine/policies/table.ts";
import { SENCACHE } from "../../../src/engine/policies/sencache.ts";
import { TEACACHE } from "../../../src/engine/policies/teacache.ts";

function decisions(decide: Decide, numbers: readonly number[]): string {
  return numbers.map((value, step) => decide(step, Float32Array.of(value, -value)))
    .map((decision) => decision === "run" ? "." : "r").join("");
}

/** A run of so many steps, whose times fall evenly from 1. */
function runOf(steps: number): DecidedRun {
  return { times: Array.from({ length: steps }, (_, step) => 1 - step / steps), tables: {} };
}

Deno.test("first-block compares with the last step that ran, and reuses up to its threshold", () => {
  const decide = (threshold: number) => FIRST_BLOCK.begin({ threshold }, runOf(6));
  assertEquals(decisions(decide(0.25), [4, 5, 5.5, 5, 4, 8]), ".r.r.."); // |5 − 4| ÷ 4 is the threshold
  assertEquals(decisions(decide(0), [4, 4, 4]), "...");
  assertEquals(decisions(decide(9), [4, 8, 16]), ".rr");
});

Deno.test("teacache adds up rescaled changes from step to step; the first and the last step run", () => {
  const none = { c4: 0, c3: 0, c2: 0, c1: 0, c0: 0 };
  const plain = (threshold: number) => TEACACHE.begin({ ...none, c1: 1, threshold }, runOf(7));
  // Changes from the step before: 0, .25, .2, .5, 0, 0, 0.
  assertEquals(decisions(plain(0.5), [4, 5, 6, 9, 9, 9, 9]), ".rr.rr.");
  assertEquals(decisions(plain(0.46), [4, 5, 6, 9, 9, 9, 9]), ".rr.rr.");
  assertEquals(decisions(plain(0.45), [4, 5, 6, 6, 6, 6, 6]), ".r.rrr.");
  assertEquals(decisions(plain(0), [4, 4, 4, 4, 4, 4, 4]), ".......");
  const constant = TEACACHE.begin({ ...none, c0: 0.264230861, threshold: 0.6 }, runOf(7));
  assertEquals(decisions(constant, [4, 4, 4, 4, 4, 4, 4]), ".rr.rr."); // .264, .528, .793
});

Deno.test("teacache's published polynomial is summed from the highest power", () => {
  const { settings } = chooseRunTimePolicy("teacache");
  const { c4, c3, c2, c1, c0 } = settings as Record<string, number>;
  const at = (x: number): number => c4! * x ** 4 + c3! * x ** 3 + c2! * x ** 2 + c1! * x + c0!;
  const change = 0.1;
  for (const [off, mark] of [[-1e-6, "."], [1e-6, "r"]] as const) {
    const threshold = at(change) + off;
    const decide = TEACACHE.begin({ ...settings, threshold } as never, runOf(9));
    assertEquals(decisions(decide, [10, 11]), `.${mark}`);
  }
});

/** By step of calibration: time, change of the output with the latent, and with the time. */
const TABLES = {
  at: [1, 0.8, 0.5, 0.2],
  latent: [0, 1, 0.5, 0.5],
  time: [9, 0, 2, 0],
};
const LOOSE = { threshold: 0.5, start: 0.5, longest: 9 };

Deno.test("sencache foretells the error since the last step that ran, by what was measured nearest to its time", () => {
  const begin = (settings: Partial<typeof LOOSE>) =>
    SENCACHE.begin({ ...LOOSE, ...settings }, { ...runOf(5), tables: TABLES }); // at 1, .8, .6, .4, .2
  // 1 → .8: 9 · .2; then by the latent: |5.4 − 5|, |5.5 − 5| is the threshold; then ½ · 0 + 2 · .2.
  assertEquals(decisions(begin({}), [5, 5, 5.4, 5.5, 5.5]), "..r.r");
  assertEquals(decisions(begin({}), [5, 5, 5.4, 5.4, 5.4]), "..rrr");
  assertEquals(decisions(begin({ longest: 2 }), [5, 5, 5.4, 5.4, 5.4]), "..rr.");
  assertEquals(decisions(begin({ longest: 0 }), [5, 5, 5, 5, 5]), ".....");
  assertEquals(decisions(begin({ threshold: 0, start: 0 }), [5, 5, 5, 5, 5]), ".....");
  // A fifth of five steps is the first; of ten the first two, and the second is as strict as `start` says.
  assertEquals(decisions(begin({ start: 0 }), [5, 5, 5, 5, 5]), "..rrr");
  const still = { ...TABLES, latent: [0, 0, 0, 0], time: [1, 1, 1, 1] };
  const ten = SENCACHE.begin({ ...LOOSE, threshold: 0.45, start: 0.05 }, {
    ...runOf(10),
    tables: still,
  }); // .1 a step
  assertEquals(decisions(ten, Array.from({ length: 10 }, () => 5)), "..rrrr.rrr");
});

Deno.test("sencache's distance is a root mean square: latents of every size have one threshold", () => {
  const decide = SENCACHE.begin(LOOSE, {
    ...runOf(5),
    tables: { at: [1], latent: [1], time: [0] },
  });
  const latent = (value: number) => new Float32Array(1000).fill(value);
  assertEquals([decide(0, latent(1)), decide(1, latent(1.49)), decide(2, latent(1.51))], [
    "run",
    "reuse",
    "run",
  ]);
});

Deno.test("relativeChange() is a mean over a mean, and nothing where nothing changes", () => {
  assertEquals(relativeChange(Float32Array.of(1, -3), Float32Array.of(2, -2)), 0.5);
  assertEquals(relativeChange(new Float32Array(2), new Float32Array(2)), 0);
  assertEquals(relativeChange(Float32Array.of(1), new Float32Array(1)), Infinity);
});

Deno.test("modulatedNorm() normalises each token, then scales and shifts it by its row's vectors", () => {
  const x = { dims: [2, 2, 3], data: Float32Array.of(1, 2, 3, 7, 7, 7, 3, 2, 1, 0, 0, 3) };
  const vectors = [1, 1, 1, 2, 2, 2, 9, 9, 9, -1, 0, 1, 0, 0, 0, 9, 9, 9]; // shift, scale, gate of each row
  const made = modulatedNorm(x, { dims: [2, 3, 3], data: Float32Array.from(vectors) });
  const [z, t] = [Math.sqrt(1.5), Math.SQRT1_2];
  const wanted = [1 - 3 * z, 1, 1 + 3 * z, 1, 1, 1, z - 1, 0, 1 - z, -t - 1, -t, 2 * t + 1];
  made.forEach((value, i) => assertAlmostEquals(value, wanted[i]!, 1e-5)); // of the ε beside the variance
});

Deno.test("frontOf() is the first block, whatever its modules, or nothing", () => {
  const modules = (...names: string[]) => ({ modules: names.map((name) => ({ name })) as never });
  assertEquals(
    frontOf("first-block", modules("blocks.0.attn", "blocks.0.mlp", "blocks.1.attn")),
    2,
  );
  assertEquals(
    frontOf("first-block", modules("t.0.attn", "t.0.ff", "t.0.context_ff", "s.0.attn")),
    3,
  );
  assertEquals(frontOf("first-input", modules("blocks.0.attn", "blocks.0.mlp")), 0);
});

Deno.test("chooseRunTimePolicy() takes published settings but those that are given, and refuses what is none", () => {
  assertEquals(Object.keys(RUN_TIME_POLICIES), ["first-block", "teacache", "sencache"]);
  assertEquals(chooseRunTimePolicy("first-block:threshold=.2").settings, { threshold: 0.2 });
  assertEquals(chooseRunTimePolicy("teacache:c1=-2").settings["c1"], -2);
  const { settings, tables } = chooseRunTimePolicy(
    "sencache:start=.2,at.0=9,at.1=3,latent.1=.5,latent.0=.25,time.0=0,time.1=1e-3",
  );
  assertEquals(settings, { threshold: 0.1, start: 0.2, longest: 3 });
  assertEquals(tables, { at: [9, 3], latent: [0.25, 0.5], time: [0, 1e-3] });
  const wrong: readonly (readonly [string, new (message: string) => Error, string])[] = [
    [
      "magcache",
      TypeError,
      "policy must be one of first-block, teacache, sencache: current value is magcache",
    ],
    ["first-block:limit=1", TypeError, "setting of first-block must be one of threshold"],
    [
      "first-block:threshold=-1",
      RangeError,
      "threshold of first-block must be a number of at least 0",
    ],
    ["teacache:threshold=NaN", RangeError, "threshold of teacache must be a number of at least 0"],
    ["teacache:c2=x", RangeError, "c2 of teacache must be a number: current value is x"],
    ["teacache:c2=-Infinity", RangeError, "c2 of teacache must be a number: current value is -Inf"],
    ["first-block:threshold=Infinity", RangeError, "threshold of first-block must be a number of"],
    ["teacache:c2.0=1", TypeError, "setting of teacache must be one of 6 names such as c2"],
    [
      "sencache",
      RangeError,
      "at.0 of sencache must be a number of at least 0: current value is none",
    ],
    ["sencache:at.0=1,latent.0=1", RangeError, "time.0 of sencache must be a number"],
    [
      "sencache:at.0=1,latent.0=-1,time.0=1",
      RangeError,
      "latent.0 of sencache must be a number of",
    ],
    ["sencache:at.0=1,latent.0=Infinity,time.0=1", RangeError, "current value is Infinity"],
    [
      "sencache:at.0=1,at.1=0,latent.0=1,latent.1=1,time.0=1",
      RangeError,
      "time.1 of sencache must be a number",
    ],
    ["sencache:at.0=1,at.2=0,latent.0=1,time.0=1", RangeError, "at.1 of sencache must be a number"],
    ["sencache:at.00=1", TypeError, "setting of sencache must be one of 6 names such as at.0"],
    ["sencache:late.0=1", TypeError, "current value is late.0"],
  ];
  for (const [word, type, message] of wrong) {
    assertThrows(() => chooseRunTimePolicy(word), type, message);
  }
});
