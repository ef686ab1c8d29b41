/**
 * `doctor`: what this machine offers, and what `--backend auto` would choose here.
 */

import { totalmem } from "node:os";
import process from "node:process";
import type { BackendName } from "../backend/backend.ts";
import { gibibytes, type MemoryLimits, misfitOf } from "../engine/memory/needs.ts";
import { estimateMemory, type MemoryReport } from "../engine/memory/report.ts";
import { type BackendMemory, misfitOn, partsText } from "../engine/memory/run.ts";
import { BackendError } from "../errors.ts";
import { findAdapter, findBufferLimit } from "../backend/adapter.ts";
import { findNative, NATIVE_ADVICE } from "../backend/native.ts";
import { coreCount, runtimeName } from "../backend/platform.ts";
import { chooseBackend } from "../backend/select.ts";
import { WEBGPU_ADVICE } from "../backend/webgpu.ts";
import { HEAP_LIMIT, openWasm, WEIGHT_LIMIT } from "../backend/wasm.ts";
import { precisionMisfit } from "../engine/precision/choose.ts";
import { MODEL, WEIGHTS_OPTION } from "./open.ts";
import { queueUrl, text, whole } from "./option_readers.ts";
import { type Asked, option, table } from "./options.ts";
import { OUTPUT_OPTIONS, tell } from "./output.ts";
import { readPlan } from "./plan_file.ts";
import { queueOf } from "./serve_options.ts";

const noModel = ({ model }: { readonly model?: string }): boolean => model === undefined;

export const DOCTOR = table({
  name: "doctor",
  summary: "say what this machine offers and what --backend auto would choose",
  options: {
    model: { ...MODEL, help: "DIR|FILE|URL  say what this model takes of memory on each backend" },
    count: option(whole(1, 999_999), "N  pictures drawn together", { or: 1 }),
    plan: option(text("a plan"), "NAME|FILE  a cache plan, for what it keeps between steps"),
    weights: {
      ...WEIGHTS_OPTION,
      help: "P  precision of weights: f32, int8 or int4 (the model's)",
    },
    queue: option(
      queueUrl(),
      "URL  a queue that servers share, also of INVARDIFF_QUEUE: its version and settings",
    ),
    json: OUTPUT_OPTIONS.json,
  },
  forbidden: [
    ["count", "without --model", noModel],
    ["plan", "without --model", noModel],
    ["weights", "without --model", noModel],
  ],
});

/** Runs the command; with `--model DIR` it says what a run of that model takes, and where it fits. */
export async function doctor(
  { model, count, plan, weights, queue, json }: Asked<typeof DOCTOR>,
): Promise<void> {
  const memory = model === undefined ? undefined : await estimateMemory({
    model,
    pictures: count,
    plan: plan === undefined ? plan : (await readPlan(plan)).plan,
    weights,
  });
  const { name, reason } = await chooseBackend();
  const lines = [
    ["runtime", runtimeText()],
    ["cores", `${await coreCount()}`],
    ["wasm", await wasmText()],
    ["webgpu", await webgpuText()],
    ["native", await nativeText()],
    ["permissions", await permissionsText()],
    ["auto", `${name}: ${reason}`],
    ...await queueLines(queueOf(queue)),
    ...(memory === undefined ? [] : memoryLines(memory, await findBufferLimit(), count)),
  ] as const;
  const text = lines.map(([what, text]) => `${what.padEnd(12)}${text}\n`).join("");
  tell({ report: Object.fromEntries(lines), text }, { json, quiet: false });
}

/** What is to be said of a queue that servers share; its packages are loaded for those who ask. */
async function queueLines(
  url: string | undefined,
): Promise<readonly (readonly [string, string])[]> {
  if (url === undefined) return [];
  const { inspectQueue } = await import("../server/cluster/queue_at.ts");
  try {
    return [["queue", await inspectQueue(url)]];
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return [["queue", `unusable: ${error.message}`]];
  }
}

/** What a model needs, what a run of it takes besides, and which backends have room. */
function memoryLines(
  memory: MemoryReport,
  buffer: number | undefined,
  count: number,
): readonly (readonly [string, string])[] {
  const { id, weights, rows, needs, run, backends, decodingError } = memory;
  const limits: Readonly<Record<BackendName, MemoryLimits & { readonly peak?: number }>> = {
    wasm: { weights: WEIGHT_LIMIT, peak: HEAP_LIMIT },
    native: { peak: totalmem() },
    webgpu: buffer === undefined ? {} : { tensor: buffer },
  };
  const verdict = (memory: BackendMemory): string => {
    const limit = limits[memory.name];
    const misfit = precisionMisfit(memory.name, weights) ?? misfitOf(needs, limit) ??
      misfitOn(memory, limit.peak);
    if (misfit !== undefined) return misfit;
    if (memory.name === "webgpu" && buffer === undefined) return `no adapter; ${takes(memory)}`;
    return `fits: ${takes(memory)}`;
  };
  return [
    [
      "model",
      `${id}: ${gibibytes(needs.weights)} of weights, ${needs.graphs} graphs, at ` +
      `most ${gibibytes(needs.largestGraph)} each; conditioning ${
        needs.keptConditioning > 0
          ? `${gibibytes(needs.keptConditioning)} more`
          : `${gibibytes(needs.largestConditioning)} at a time`
      }, ahead of the loop`,
    ],
    [
      "a run",
      `${count} ${count === 1 ? "picture" : "pictures"} (${rows} ${
        rows === 1 ? "row" : "rows"
      }): ` +
      `activations ${gibibytes(run.largestSet)} in the largest graph, conditioning ${
        gibibytes(run.table)
      } on the host, features kept ${gibibytes(run.features)}`,
    ],
    ...(decodingError === undefined ? [] : [["pictures", `none: ${decodingError}`] as const]),
    ...autoencoderLines(memory),
    ...promptLines(memory),
    ...backends.map((memory) => [`on ${memory.name}`, verdict(memory)] as const),
  ];
}

/** What an autoencoder takes beside the transformer, and when. */
function autoencoderLines(
  { autoencoder = [] }: MemoryReport,
): readonly (readonly [string, string])[] {
  if (autoencoder.length === 0) return [];
  const each = autoencoder.map(({ half, weights, graphs, largestSet }) =>
    `${half} ${gibibytes(weights)} in ${graphs} graphs, ${WHEN[half]}, ` +
    `with activations of ${gibibytes(largestSet)}`
  );
  return [["pictures", `${each.join("; ")}: beside what is below`]];
}

const WHEN = {
  decoder: "after the steps",
  encoder: "before them where a run begins from a picture",
} as const;

/** What text encoders take, and when. */
function promptLines(
  { encoders = [], encodersError }: MemoryReport,
): readonly (readonly [string, string])[] {
  if (encodersError !== undefined) return [["prompts", `none: ${encodersError}`]];
  if (encoders.length === 0) return [];
  const each = encoders.map(({ title, weights, graphs }) =>
    `${title} ${gibibytes(weights)} in ${graphs} graphs`
  );
  const largest = Math.max(...encoders.map(({ largestGraph }) => largestGraph));
  return [[
    "prompts",
    `${each.join(", ")}; at most ${
      gibibytes(largest)
    } at a time, ahead of the first run, and kept ` +
    "after it where there is room",
  ]];
}

function takes(memory: BackendMemory): string {
  const beside = memory.host > 0 ? `; beside it ${gibibytes(memory.host)} on the host` : "";
  return `about ${gibibytes(memory.peak)} of ${memory.place} (${partsText(memory)})${beside}`;
}

function runtimeText(): string {
  const versions: Readonly<Record<string, string | undefined>> = process.versions;
  const name = runtimeName();
  return `${name} ${versions[name] ?? ""}, v8 ${
    versions["v8"] ?? "none"
  }, ${process.platform} ${process.arch}`;
}

async function wasmText(): Promise<string> {
  try {
    const backend = await openWasm();
    await backend.dispose();
    return `${backend.description}, onnxruntime-web loads`;
  } catch (error) {
    if (error instanceof BackendError) return error.message;
    throw error;
  }
}

async function webgpuText(): Promise<string> {
  const adapter = await findAdapter();
  if (adapter === undefined) return `no adapter; it needs ${WEBGPU_ADVICE}`;
  const kind = adapter.fallback ? "fallback adapter, never chosen by auto" : "hardware adapter";
  return `${adapter.name}: ${kind}`;
}

async function nativeText(): Promise<string> {
  return await findNative() ?? `onnxruntime-node not in node_modules; to add it: ${NATIVE_ADVICE}`;
}

/** Deno only: other runtimes have no permissions to ask about. */
async function permissionsText(): Promise<string> {
  if (runtimeName() !== "deno") return "not asked for by this runtime";
  const names = ["read", "write", "env", "sys", "net", "ffi"] as const;
  const states = await Promise.all(names.map(async (name) => {
    const { state } = await Deno.permissions.query({ name });
    return `${name} ${state}`;
  }));
  return states.join(", ");
}
