import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Weights } from "../../src/assets/weights.ts";
import { type TensorPart, viewWeights } from "../../src/model/tensor_views.ts";
import { ramp } from "../assets/files.ts";

const WIDTH = 5;
const SHAPES = new Map([["a", [4, WIDTH]], ["b", [3, WIDTH]], ["v", [6]], ["cube", [2, 2, 3]]]);

/** Weights whose numbers count on; a reading takes a copy, since readers may free it. */
const STORED: Weights = {
  names: new Set(SHAPES.keys()),
  dims: (name) => SHAPES.get(name),
  read: (name) => Promise.resolve({ dims: SHAPES.get(name)!, data: numbersOf(name) }),
  sample: (name, indices) => {
    const numbers = numbersOf(name);
    const found = indices.map((i) => numbers[i]);
    if (found.some((value) => value === undefined)) throw new RangeError(`no index in ${name}`);
    return Promise.resolve(Float32Array.from(found, Number));
  },
};

function numbersOf(name: string): Float32Array {
  const size = SHAPES.get(name)!.reduce((a, b) => a * b, 1);
  return ramp(size).map((value) => value + name.charCodeAt(0));
}

function run(size: number): fc.Arbitrary<readonly [number, number] | undefined> {
  return fc.option(
    fc.integer({ min: 0, max: size - 1 }).chain((first) =>
      fc.tuple(fc.constant(first), fc.integer({ min: 1, max: size - first }))
    ),
    { nil: undefined },
  );
}

/** Rows of a matrix, as long as all of its columns are taken, so that parts fit each other. */
const PART = fc.constantFrom("a", "b").chain((source) =>
  run(SHAPES.get(source)![0]!).map((rows) => ({ source, ...(rows && { rows }) }))
);

/** What a view is, element by element. */
function slowly(parts: readonly TensorPart[]): number[] {
  return parts.flatMap(({ source, rows, columns }) => {
    const [height = 0, ...rest] = SHAPES.get(source)!;
    const width = rest.reduce((a, b) => a * b, 1);
    const [first, count] = rows ?? [0, height];
    const [left, wide] = columns ?? [0, width];
    return [...numbersOf(source)].filter((_, i) => {
      const [row, column] = [Math.floor(i / width), i % width];
      return row >= first && row < first + count && column >= left && column < left + wide;
    });
  });
}

Deno.test("viewWeights() reads and samples rows of several tensors, one below the other", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(PART, { minLength: 1, maxLength: 4 }), async (parts) => {
      const view = viewWeights(STORED, new Map([["x", parts]]));
      const wanted = slowly(parts);
      const { dims, data } = await view.read("x");
      assertEquals(dims, [wanted.length / WIDTH, WIDTH]);
      assertEquals(view.dims("x"), dims);
      assertEquals([...data], wanted);
      const indices = [...wanted.keys()].reverse();
      assertEquals([...await view.sample("x", indices)], indices.map((i) => wanted[i]!));
    }),
  );
});

Deno.test("viewWeights() cuts columns of a matrix and rows of a vector, and leaves whole tensors alone", async () => {
  const views = new Map<string, readonly TensorPart[]>([
    ["left", [{ source: "a", columns: [0, 2] }]],
    ["corner", [{ source: "b", rows: [1, 2], columns: [3, 2] }]],
    ["some", [{ source: "v", rows: [2, 3] }]],
    ["cube", [{ source: "cube" }]],
    ["cubes", [{ source: "cube" }, { source: "cube" }]],
  ]);
  const view = viewWeights(STORED, views);
  const dims = { left: [4, 2], corner: [2, 2], some: [3], cube: [2, 2, 3], cubes: [4, 2, 3] };
  for (const [name, wanted] of Object.entries(dims)) {
    const numbers = slowly(views.get(name)!);
    assertEquals([view.dims(name), (await view.read(name)).dims], [wanted, wanted]);
    assertEquals([...(await view.read(name)).data], numbers);
    assertEquals([...await view.sample(name, [...numbers.keys()])], numbers);
  }
  assertEquals([...view.names], [...views.keys()]);
  assertEquals(view.dims("a"), undefined);
});

Deno.test("viewWeights() refuses indices beyond a part, and tells the shape of a part that does not fit", async () => {
  const part = { source: "a", rows: [0, 2] } as const;
  const view = viewWeights(
    STORED,
    new Map<string, readonly TensorPart[]>([["x", [part]], ["y", [part, { source: "v" }]]]),
  );
  const refused = await Promise.try(() => view.sample("x", [2 * WIDTH])).catch((error) => error);
  assertEquals(refused instanceof RangeError, true);
  assertEquals(view.dims("y"), [6]);
});
