/**
 * `doctor`: what this machine offers, and what `--backend auto` would choose here.
 *
 * @module
 */

import { totalmem } from "node:os";
import process from "node:process";
import { gibibytes, type MemoryLimits, memoryNeeds, misfitOf } from "../engine/memory.ts";
import { openModel } from "../model/model.ts";
import { BackendError } from "../errors.ts";
import { findAdapter, findBufferLimit } from "../backend/adapter.ts";
import { findNative, NATIVE_ADVICE } from "../backend/native.ts";
import { coreCount, runtimeName } from "../backend/platform.ts";
import { chooseBackend } from "../backend/select.ts";
import { WEBGPU_ADVICE } from "../backend/webgpu.ts";
import { openWasm, WEIGHT_LIMIT } from "../backend/wasm.ts";
import { withDownloads } from "./download_progress.ts";

/** Runs the command; with `--model DIR` it says what of that model fits where. */
export async function doctor(args: readonly string[]): Promise<void> {
  const [option, location, ...more] = args;
  if (args.length > 0 && (option !== "--model" || location === undefined || more.length > 0)) {
    throw new TypeError(
      `Cannot run doctor: it takes no options but --model DIR: current value is ${args}`,
    );
  }
  const { name, reason } = await chooseBackend();
  const lines = [
    ["runtime", runtimeText()],
    ["cores", `${await coreCount()}`],
    ["wasm", await wasmText()],
    ["webgpu", await webgpuText()],
    ["native", await nativeText()],
    ["permissions", await permissionsText()],
    ["auto", `${name}: ${reason}`],
    ...(location === undefined ? [] : await memoryLines(location)),
  ] as const;
  for (const [what, text] of lines) process.stdout.write(`${what.padEnd(12)}${text}\n`);
}

/** What a model needs, and which backends have room; only headers are read. */
async function memoryLines(location: string): Promise<readonly (readonly [string, string])[]> {
  const model = await withDownloads((onDownload) => openModel(location, { onDownload }));
  const needs = memoryNeeds(model.transformer);
  await model.close();
  const buffer = await findBufferLimit();
  const verdict = (limits: MemoryLimits): string => misfitOf(needs, limits) ?? "fits";
  return [
    [
      "model",
      `${model.id}: ${
        gibibytes(needs.weights)
      } of weights in float32, ${needs.graphs} graphs, at ` +
      `most ${gibibytes(needs.largestGraph)} each; conditioning ${
        gibibytes(needs.largestConditioning)
      } at a time, ahead of the loop`,
    ],
    ["on wasm", verdict({ weights: WEIGHT_LIMIT })],
    ["on webgpu", buffer === undefined ? "no adapter" : verdict({ tensor: buffer })],
    ["on native", verdict({ weights: totalmem() })],
  ];
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
