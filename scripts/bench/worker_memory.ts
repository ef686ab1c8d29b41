/**
 * Where the memory of the built worker goes, on workerd: resident memory of the process, WebAssembly's heap,
 * and the isolate's own account of heap and buffers, stage by stage.
 *
 *     deno task worker-memory
 *
 * V8 tells its account when it collects garbage, so what lies between two collections may be higher.
 */
import { json } from "../../tests/edge/client.ts";
import { type ServerProcess, withWorkerd } from "../../tests/edge/servers.ts";

/** In front of the worker: remembers WebAssembly's memories and tells their sizes. */
const FRONT = `import worker from "./worker.js";
const memories = [];
const Original = WebAssembly.Memory;
WebAssembly.Memory = class extends Original {
  constructor(descriptor) {
    super(descriptor);
    memories.push(this);
  }
};
export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname !== "/memory") return worker.fetch(request, env, context);
    return Response.json(memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
  },
};
`;
const MODEL = new URL("../../models/peeps-flux/", import.meta.url).pathname;
const PROMPT = "a person with curly hair, sunglasses and a green shirt, light blue background";
const REQUEST = { prompt: PROMPT, seed: 7, plan: "none", steps: 28 };
const STAGES: readonly (readonly [string, string, unknown?])[] = [
  ["script loaded", "/memory"],
  ["model opened", "/v1/models"],
  ["1 picture, 28 full steps", "/v1/images/generations", REQUEST],
  ["2 pictures of one request", "/v1/images/generations", { ...REQUEST, n: 2 }],
  ["20 more, 4 steps each", "/v1/images/generations", { ...REQUEST, steps: 4 }],
];
const MIB = 2 ** 20;

let account = { heap: 0, buffers: 0 };

await withWorkerd(measure, {
  front: FRONT,
  model: MODEL,
  v8Flags: ["--trace-gc", "--trace-gc-verbose"],
  onPrint: (text) => account = highest(account, text),
});

async function measure({ base, pid }: ServerProcess): Promise<void> {
  console.log(
    "| after | resident | peak | WebAssembly heap | V8 heap | buffers, that heap among them |",
  );
  console.log("| --- | --- | --- | --- | --- | --- |");
  for (const [what, path, body] of STAGES) {
    account = { heap: 0, buffers: 0 };
    const times = what.startsWith("20") ? 20 : 1;
    for (let i = 0; i < times; i++) {
      await (await fetch(new URL(path, base), body === undefined ? {} : json(body))).text();
    }
    const heap: number = await (await fetch(new URL("/memory", base))).json();
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    const row = [
      kibOf(status, "VmRSS"),
      kibOf(status, "VmHWM"),
      heap / 1024,
      account.heap,
      account.buffers,
    ];
    console.log(`| ${what} | ${row.map((kib) => mib(kib)).join(" | ")} |`);
  }
}

/** The highest of what V8 has told, in KiB. */
function highest(before: typeof account, text: string): typeof account {
  const most = (pattern: RegExp, least: number): number =>
    Math.max(least, ...[...text.matchAll(pattern)].map(([, kib]) => Number(kib)));
  return {
    heap: most(/All spaces,\s+used:\s+(\d+) KB/g, before.heap),
    buffers: most(/Backing store memory:\s+(\d+) KB/g, before.buffers),
  };
}

function kibOf(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
}

function mib(kib: number): string {
  return kib === 0 ? "–" : `${(kib * 1024 / MIB).toFixed(0)} MiB`;
}
