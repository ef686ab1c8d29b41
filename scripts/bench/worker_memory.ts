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
const FRONT = `import worker from "../worker.js";
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
const PLAN = { label: 7, seed: 7, plan: "fashion-dit.ddim50.fast" };
const STAGES: readonly (readonly [string, string, unknown?])[] = [
  ["script loaded", "/memory"],
  ["model loaded", "/v1/models"],
  ["1 picture, 50 steps by plan", "/v1/images/generations", PLAN],
  ["1 picture, 50 full steps", "/v1/images/generations", { ...PLAN, plan: "none", steps: 50 }],
  ["2 pictures, 50 steps by plan", "/v1/images/generations", { ...PLAN, n: 2 }],
  ["20 more by plan", "/v1/images/generations", PLAN],
];
const MIB = 2 ** 20;

let account = { heap: 0, buffers: 0 };

await withWorkerd(measure, {
  front: FRONT,
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
