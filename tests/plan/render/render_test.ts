import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { renderSvg } from "../../../src/plan/render/svg.ts";
import { renderText } from "../../../src/plan/render/text.ts";
import { anyPlan, examplePlan, type PlanChanges } from "../example_plans.ts";
import { publishedDitPlan, publishedFluxFastPlan } from "../published_plans.ts";

Deno.test("renderText() draws a line per module and a column per step", () => {
  const lines = renderText(examplePlan(["..", "=", "r.", "+", ".r"])).split("\n");
  assertEquals(lines.slice(0, 4), [
    "dit, 2 modules, ddim, 5 steps",
    "              0",
    "blocks.0.attn █=·+█",
    " blocks.0.mlp █=█+·",
  ]);
  for (const words of ["█ runs", "▓▒░ partly", "· reused"]) assertStringIncludes(lines[4]!, words);
  for (const words of ["= hidden state reused", "+ residual reused"]) {
    assertStringIncludes(lines[5]!, words);
  }
});

Deno.test("renderText() of many modules draws a line per kind, shaded by the share that runs", () => {
  const lines = renderText(publishedFluxFastPlan()).split("\n");
  assertEquals(lines.slice(2, 5), [
    "       transformer_blocks.*.attn ×19 ██=█======█===█=======█····█",
    "         transformer_blocks.*.ff ×19 ██=█======█===█=======█····█",
    " transformer_blocks.*.context_ff ×19 ██=█======█===█=======█░░░░█",
  ]);
  assert(lines.every((line) => line.length <= 100));
});

Deno.test("renderText() never shades a partly reused kind as all or nothing", () => {
  const steps = [[2, 28], [14, 14], [27, 1]].map(([attn, mlp]) =>
    Array.from({ length: 28 }, (_, b) => (b < attn! ? "r" : ".") + (b < mlp! ? "r" : ".")).join("")
  );
  const plan = examplePlan([".".repeat(56), ...steps]);
  assertEquals(renderText(plan).split("\n").slice(2, 4), [
    "blocks.*.attn ×28 █▓▒░",
    " blocks.*.mlp ×28 █·▒▓",
  ]);
});

Deno.test("forecast cells have a mark, a colour and words of their own", () => {
  const plan = examplePlan(["..", "..", "x.", "rx"], {
    version: 2,
    columns: { features: [null, null, [[2, -1]], [[2, -1]]] },
  });
  const lines = renderText(plan).split("\n");
  assertEquals(lines.slice(2, 4), ["blocks.0.attn ██×·", " blocks.0.mlp ███×"]);
  assertStringIncludes(lines[4]!, "× forecast  ");
  const svg = renderSvg(plan);
  assertEquals(svg.match(/class="extrapolate" d="M/g)?.length, 1);
  assertStringIncludes(svg, ">forecast<");
});

Deno.test("partial cells have a mark of their own, and are shaded by their share among others", () => {
  const changes: PlanChanges = {
    version: 2,
    columns: { shares: [null, [0.25, 0.75]] },
  };
  const lines = renderText(examplePlan(["....", ".prp"], changes)).split("\n");
  assertEquals(lines.slice(2, 6).map((line) => line.at(-1)), ["█", "◧", "·", "◧"]);
  assertStringIncludes(lines[6]!, "◧ some tokens");
  const blocks = [".".repeat(40), ".p".repeat(20)];
  const many = renderText(examplePlan(blocks, { ...changes, columns: { shares: [null, [0.5]] } }));
  assertEquals(many.split("\n").slice(2, 4), ["blocks.*.attn ×20 ██", " blocks.*.mlp ×20 █◧"]);
});

Deno.test("renderSvg() leaves room for every word of its legend", () => {
  const svg = renderSvg(examplePlan(["..", "="]));
  const width = Number(svg.match(/width="(\d+)"/)?.[1]);
  const [, x, words] = [...svg.matchAll(/<text x="(\d+)" [^>]*>([^<]+)</g)].at(-1)!;
  assert(Number(x) + words!.length * 5 <= width, `${words} at ${x} of ${width}`);
});

Deno.test("renderText() draws each slot", () => {
  const plan = examplePlan([".."], { slots: ["cond", "uncond"], rows: [["..", ".."]] });
  assertStringIncludes(renderText(plan), "slot uncond\n");
});

Deno.test("renderText() has escape codes only when asked, and they leave the same picture", () => {
  const plan = publishedDitPlan("fast");
  assert(!renderText(plan).includes("\x1b"));
  const colored = renderText(plan, { colors: "ansi" });
  assertStringIncludes(colored, "\x1b[38;5;208m==============\x1b[0m");
  // deno-lint-ignore no-control-regex -- escape codes are what is removed
  assertEquals(colored.replace(/\x1b\[[\d;]*m/g, ""), renderText(plan));
});

Deno.test("renderSvg() says in words what it shows and follows the reader's scheme", () => {
  const svg = renderSvg(examplePlan(["..", "=", "r.", "+"]));
  assertStringIncludes(svg, 'role="img"');
  assertStringIncludes(svg, "<title>Cache plan for dit: 2 modules, ddim, 4 steps</title>");
  assertStringIncludes(
    svg,
    "<desc>Slot joint: 2 steps are reused, 1 run every module, 1 reuse some modules.",
  );
  assertStringIncludes(svg, "@media (prefers-color-scheme: dark)");
  assert(!/(href|src|url\(|@import)/.test(svg), "needs no other file");
});

Deno.test("renderSvg() escapes names, for a plan made in code may have any", () => {
  const svg = renderSvg(examplePlan([".."], { architecture: '<script a="&">' }));
  assert(!svg.includes("<script"));
  assertStringIncludes(svg, "&#60;script a=&#34;&#38;&#34;&#62;");
});

Deno.test("renderSvg() keeps 50 steps × 24 modules and 28 × 190 on a page and below 40 kB", () => {
  const single = Array.from(
    { length: 190 },
    (_, m) => `blocks.${m >> 1}.${m % 2 ? "mlp" : "attn"}`,
  );
  const wide = examplePlan(Array.from({ length: 50 }, (_, t) => (t % 2 ? "r." : "..").repeat(12)));
  const tall = examplePlan(
    Array.from({ length: 28 }, (_, t) => (t % 2 ? "r." : "..").repeat(95)),
    { modules: single },
  );
  for (const plan of [wide, tall]) {
    const svg = renderSvg(plan);
    const [, width, height] = svg.match(/width="(\d+)" height="(\d+)"/)!.map(Number);
    assert(width! <= 1000 && height! <= 1100, `${width} × ${height}`);
    assert(svg.length < 40_000, `${svg.length}`);
  }
});

Deno.test("any plan is drawn", () => {
  fc.assert(fc.property(anyPlan, (plan) => {
    assertStringIncludes(renderSvg(plan), "</svg>");
    const { length } = renderText(plan, { colors: "ansi" }).split("\n");
    assert(length >= 3 + plan.slots.length * (1 + plan.modules.length));
  }));
});
