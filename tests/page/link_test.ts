import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatLink, linkedOf, parseLink } from "../../src/page/link.ts";
import type { RunRequest } from "../../src/page/run.ts";

Deno.test("a link says all of a request, whatever its prompt", () => {
  const request: fc.Arbitrary<RunRequest> = fc.record({
    model: fc.string({ minLength: 1 }),
    prompt: fc.string({ unit: "grapheme" }),
    seed: fc.nat(),
    steps: fc.integer({ min: 1, max: 1000 }),
    guidance: fc.integer({ min: 0, max: 100 }).map((tenths) => tenths / 10),
    plan: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
  });
  fc.assert(fc.property(request, (wanted) => {
    const link = formatLink(wanted);
    assert(/^#[\x21-\x7e]*$/.test(link), link);
    assertEquals(parseLink(link), linkedOf(wanted));
  }));
  const ofClass: RunRequest = { model: "a", label: 7, seed: 3, steps: 4, guidance: 2 };
  assertEquals(parseLink(formatLink(ofClass)), { ...ofClass, plan: "none" });
});

Deno.test("parseLink() takes what it can, and nothing of what is none of ours", () => {
  assertEquals(parseLink("#prompt=a+fox"), { prompt: "a fox" });
  assertEquals(parseLink("#prompt="), { prompt: "" });
  assertEquals(parseLink("#prompt=a%20fox&seed=-1&steps=0.5&guidance=x&plan=fast"), {
    prompt: "a fox",
    plan: "fast",
  });
  assertEquals(parseLink("#label=7&seed=99999999999999999999&steps=2000&guidance=1e9"), {
    label: 7,
  });
  assertEquals(parseLink("#prompt=%ff%00"), { prompt: "\ufffd\0" });
  for (const other of ["", "#", "#stage", "#seed=3", `#prompt=${"x".repeat(32_001)}`]) {
    assertEquals(parseLink(other), undefined, other.slice(0, 20));
  }
});
