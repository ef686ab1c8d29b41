/**
 * Converged solutions on disk, beside downloads: a text for each picture, by what it depends on.
 */

import type { BlobStore } from "../assets/store/blob_store.ts";
import type { Scene } from "../model/scene.ts";
import type { SamplerDefaults } from "../sampler/config.ts";
import { sliceRows } from "../tensor/rows.ts";
import type { RunConditions } from "./task.ts";

/** Where solutions are kept: the store of downloads does. */
export type TruthStore = Pick<BlobStore, "readText" | "writeText">;

/** What solves for a model. */
export interface KeptSolver {
  /** Calls of the model. */
  readonly calls: number;
  /** PSNR in dB of its pictures to 1,000 steps of DDIM, or of a flow to those of half the calls. */
  readonly agreementDb: number;
}

/** What all solutions of a model depend on. */
export interface TruthSubject {
  readonly model: string;
  readonly precision: string;
  readonly sampling: SamplerDefaults;
  readonly guidance: number;
}

/** What is kept of a model. */
export interface KeptTruth {
  solver(): Promise<KeptSolver | undefined>;
  keepSolver(solver: KeptSolver): Promise<KeptSolver>;
  latents(solver: KeptSolver, key: string): Promise<Float32Array | undefined>;
  keepLatents(solver: KeptSolver, key: string, latents: Float32Array): Promise<void>;
}

/** The solutions of a model in a store; without a store there are none. */
export function keptTruth(store: TruthStore | undefined, subject: TruthSubject): KeptTruth {
  const { sampling: { predicts, spacing, shift, guidanceChannels }, ...rest } = subject;
  const depends = { ...rest, predicts, betas: spacing?.betas, ends: spacing?.endsAtOne, shift };
  const folder = digestOf([JSON.stringify({ ...depends, guidanceChannels })])
    .then((digest) => `truth/${digest}`);
  const pathOf = async ({ calls }: KeptSolver, key: string): Promise<string> =>
    `${await folder}/${calls}-${key}.txt`;
  return {
    solver: async () => parsedSolver(await store?.readText(`${await folder}/solver.json`)),
    keepSolver: async (solver) => {
      await store?.writeText(`${await folder}/solver.json`, JSON.stringify(solver));
      return solver;
    },
    latents: async (solver, key) => decoded(await store?.readText(await pathOf(solver, key))),
    keepLatents: async (solver, key, latents) => {
      await store?.writeText(await pathOf(solver, key), encoded(latents));
    },
  };
}

/** Digest of a condition and its noise: all that its solution depends on beside the model. */
export async function conditionKey(
  { labels, noise, given }: RunConditions,
  row: number,
  { conditions, tokenGrid }: Scene,
): Promise<string> {
  const label = labels[row]!; // a row of the conditions
  const { conditions: others, text, pooled, imageIds } = given ?? {};
  const tensors = Object.entries({ ...others, text, pooled, imageIds }).flatMap(([name, tensor]) =>
    tensor === undefined
      ? []
      : [name, (tensor.dims[0] === conditions ? sliceRows(tensor, label, 1) : tensor).data]
  );
  const chosen = conditions === undefined ? `label ${label}` : "row";
  return await digestOf([chosen, `${tokenGrid}`, ...tensors, sliceRows(noise, row, 1).data]);
}

/** What is not as it was written counts as absent. */
function parsedSolver(text: string | undefined): KeptSolver | undefined {
  if (text === undefined) return undefined;
  const [, calls, db] = /^\{"calls":(\d{1,4}),"agreementDb":(null|\d+(?:\.\d+)?)\}$/.exec(text) ??
    [];
  if (calls === undefined) return undefined;
  return { calls: Number(calls), agreementDb: db === "null" ? Infinity : Number(db) };
}

function encoded(numbers: Float32Array): string {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function decoded(text: string | undefined): Float32Array | undefined {
  if (text === undefined || text.length % 4 !== 0 || !/^[A-Za-z\d+/]+={0,2}$/.test(text)) {
    return undefined;
  }
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return bytes.length % 4 === 0 ? new Float32Array(bytes.buffer) : undefined;
}

async function digestOf(parts: readonly (string | Float32Array)[]): Promise<string> {
  const chunks = parts.map((part) =>
    typeof part === "string" ? new TextEncoder().encode(`${part}\n`) : new Uint8Array(
      part.buffer,
      part.byteOffset,
      part.byteLength,
    )
  );
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
