/**
 * The memory trap in a process of its own: an MLP of fashion-dit at batch 20, twenty times, on two
 * wasm threads. Without a reservation the memory grows in the first run; whether that hangs is a race
 * (seen in 1 of 6 to 6 of 6 processes), so growing is reported as well.
 *
 *     deno run --allow-read --allow-env --allow-sys tests/backend/mlp_runs.ts main|worker
 */
import type { Backend } from "../../src/backend/backend.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { buildSegment, type Segment, segmentOutputs } from "../../src/engine/segment/segment.ts";
import { loadWithWeights } from "../../src/engine/load_graph.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { normalNoise } from "../../src/tensor/random.ts";

const BATCH = 20;
const RUNS = 20;
const MLP: Segment = [{ kind: "module", index: 1, action: "run", store: false }];

let grownPages = 0;
const { grow } = WebAssembly.Memory.prototype;
WebAssembly.Memory.prototype.grow = function (this: WebAssembly.Memory, pages: number): number {
  grownPages += pages;
  return grow.call(this, pages);
};

/** Only workers have one; our types are a window's. */
const post: unknown = Reflect.get(globalThis, "postMessage");

if (typeof post === "function") post(await runAll());
else if (Deno.args[0] === "main") finish(await runAll());
else {
  const worker = new Worker(import.meta.url, { type: "module" });
  worker.onmessage = ({ data }) => finish(data);
}

function finish(report: string): void {
  console.log(report);
  Deno.exit(0); // the runtime's threads would keep the process alive
}

async function runAll(): Promise<string> {
  const backend = await openWasm({ threads: 2 });
  const model = await openModel(FASHION_DIT);
  const runs = await runMlp(backend, model);
  await model.close();
  await backend.dispose();
  return `${runs} equal runs, memory grown by ${grownPages} pages`;
}

/** How many runs ended with numbers like those of the first. */
async function runMlp(backend: Backend, { transformer, weights }: Model): Promise<number> {
  const graph = buildSegment(transformer, MLP);
  const session = await loadWithWeights(backend, graph, weights);
  const inputs = graph.inputs.map(({ name, dims }, i) => {
    const noise = normalNoise([BATCH, ...dims.slice(1).map(Number)], i);
    return [name, backend.upload(noise)] as const;
  });
  const outputs = segmentOutputs(transformer, MLP);
  let first: Float32Array | undefined;
  let equal = 0;
  for (let run = 0; run < RUNS; run++) {
    const { x } = await session.run(Object.fromEntries(inputs), outputs);
    const { data } = await backend.download(x!); // DiT's only stream
    x!.dispose();
    first ??= data;
    if (Number.isFinite(data[0]) && data.every((value, i) => value === first![i])) equal++;
  }
  return equal;
}
