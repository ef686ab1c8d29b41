import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { modulationGroups } from "../../../src/model/blocks/modulation.ts";

const FEW = 4 << 20; // bytes of a group

Deno.test("modulationGroups() keeps the order, and puts layers together while they have less than 4 MiB", () => {
  const layer = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 });
  const layers = fc.array(layer, { minLength: 1, maxLength: 30 });
  fc.assert(fc.property(layers, fc.integer({ min: 8, max: 700 }), (rowsOf, width) => {
    const given = rowsOf.map((rows, i) => ({
      weights: `layer${i}`,
      parts: rows.map((count, part) => ({ name: `${i}.${part}`, rows: count })),
    }));
    const groups = modulationGroups(given, width);
    assertEquals(groups.flatMap(({ parts }) => parts), given.flatMap(({ parts }) => parts));
    for (const [i, { parts, weightBytes }] of groups.entries()) {
      const rows = parts.reduce((sum, part) => sum + part.rows, 0);
      assertEquals(weightBytes, 4 * rows * width * (width + 1));
      const layersOf = new Set(parts.map(({ name }) => name.split(".")[0]));
      assert(weightBytes <= FEW || layersOf.size === 1, `${weightBytes}`);
      const next = groups[i + 1]?.parts ?? [];
      const [first] = next.map(({ name }) => name.split(".")[0]);
      const more = next.filter(({ name }) => name.split(".")[0] === first);
      const moreRows = more.reduce((sum, part) => sum + part.rows, 0);
      if (more.length > 0) assert(weightBytes + 4 * moreRows * width * (width + 1) > FEW);
    }
  }));
});
