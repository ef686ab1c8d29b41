/** Files that policies read, made in memory. */

import type { PolicyFile, ReadFor } from "../../../src/calibrate/policies/policy.ts";

/** A file that can be read in the given ways, and fails in every other. */
export function policyFile(ways: Partial<PolicyFile>): PolicyFile {
  const fail = () => Promise.reject(new Error("it is not read in this way"));
  return { text: fail, json: fail, checkpoint: fail, ...ways };
}

/** A file with this JSON. */
export function jsonFile(value: unknown): PolicyFile {
  return policyFile({ json: () => Promise.resolve(value) });
}

/** What such files are read for: a model of two modules, in so many steps. */
export function readFor(steps: number): Required<ReadFor> {
  const times = Array.from({ length: steps }, (_, t) => 10 * (steps - t));
  const model = { architecture: "dit", modules: ["blocks.0.attn", "blocks.0.mlp"] };
  return { sampler: { name: "ddim", times }, model: { ...model, schedule: { times } } };
}
