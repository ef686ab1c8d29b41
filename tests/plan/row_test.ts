import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PlanError } from "../../src/errors.ts";
import { branchShare, CELL_NAMES, CELLS, STATE_NAMES, STATES } from "../../src/plan/cells.ts";
import { readModuleName } from "../../src/plan/module_name.ts";
import {
  cellShares,
  cellWeights,
  computes,
  countCells,
  evenRow,
  isFull,
  type ModuleRow,
  moduleRow,
  readRow,
  STATE_ROWS,
} from "../../src/plan/row.ts";

const MODULES = ["blocks.0.attn", "blocks.0.mlp", "blocks.1.attn"];
const KINDS = [...Object.values(CELLS), ...Object.values(STATES)];

Deno.test("marks of cells and states are one character each, and none means two things", () => {
  const marks = KINDS.map(({ mark }) => mark);
  assert(marks.every((mark) => mark.length === 1));
  assertEquals(new Set(marks).size, marks.length);
  assertEquals(new Set(KINDS.map(({ shade }) => shade)).size, KINDS.length);
});

Deno.test("a cell whose feature is merged runs all of its branch or loads kept features", () => {
  for (const cell of CELL_NAMES) {
    const { loads, merges } = CELLS[cell];
    assertEquals(merges === 1 && branchShare(cell, 0.5) < 1, loads !== 0);
  }
});

Deno.test("readRow() gives back any row of its own text", () => {
  const cells = fc.array(fc.constantFrom(...CELL_NAMES), { minLength: 3, maxLength: 3 });
  const rows = fc.oneof(cells.map(moduleRow), fc.constantFrom(...Object.values(STATE_ROWS)));
  fc.assert(fc.property(rows, (row) => assertEquals(readRow(row.text, MODULES, "here"), row)));
});

Deno.test("readRow() reads any text or throws a PlanError that says where", () => {
  const marks = fc.constantFrom(
    ...KINDS.map(({ mark }) => mark),
    "?",
    "é",
  );
  const text = fc.oneof(fc.array(marks, { maxLength: 4 }).map((all) => all.join("")), fc.string());
  fc.assert(fc.property(text, (text) => {
    try {
      assertEquals(readRow(text, MODULES, "step 3").text, text);
    } catch (error) {
      assert(error instanceof PlanError && error.message.includes("step 3"), `${error}`);
    }
  }));
  assertThrows(() => readRow("", MODULES, "step 3"), PlanError, "step 3 must be");
});

Deno.test("isFull() and computes() tell rows apart by what runs", () => {
  const told = (cells: Parameters<typeof moduleRow>[0]) => {
    const row = moduleRow(cells);
    return [isFull(row), computes(row)];
  };
  assertEquals(told(["run", "run"]), [true, true]);
  assertEquals(told(["reuse", "run"]), [false, true]);
  assertEquals(told(["reuse", "reuse"]), [false, false]);
  assertEquals([told(["run", "skip"]), told(["skip", "skip"])], [[false, true], [false, false]]);
  assertEquals(evenRow("run", 3).text, "...");
  for (const state of STATE_NAMES) {
    assertEquals([isFull(STATE_ROWS[state]), computes(STATE_ROWS[state])], [false, false]);
  }
});

Deno.test("weights belong to the forecast cells of a row, to all alike or to each in turn", () => {
  const row = readRow("x.x", MODULES, "here") as ModuleRow; // three marks
  const count = (of: Parameters<typeof countCells>[0]) => countCells(of, "extrapolate");
  assertEquals([count(row), count(STATE_ROWS.hidden)], [2, 0]);
  assertEquals(cellWeights(row, [[2, -1]]), [[2, -1], undefined, [2, -1]]);
  assertEquals(cellWeights(row, [[2, -1], [1]]), [[2, -1], undefined, [1]]);
  assertEquals(cellWeights(row), [undefined, undefined, undefined]);
  assertEquals([isFull(row), computes(row)], [false, true]);
});

Deno.test("shares belong to the partial cells of a row, to all alike or to each in turn", () => {
  const row = readRow("p.p", MODULES, "here") as ModuleRow; // three marks
  assertEquals(cellShares(row, [0.5]), [0.5, undefined, 0.5]);
  assertEquals(cellShares(row, [0.5, 0]), [0.5, undefined, 0]);
  assertEquals(cellShares(row), [undefined, undefined, undefined]);
  assertEquals([isFull(row), computes(row), computes(moduleRow(["partial"]))], [false, true, true]);
});

Deno.test("readModuleName() takes names apart at their last dot, with or without one", () => {
  assertEquals(readModuleName("blocks.3.attn"), {
    block: "blocks.3",
    kind: "attn",
    form: "blocks.*.attn",
  });
  assertEquals(readModuleName("attn"), { block: "", kind: "attn", form: "attn" });
});
