/**
 * The identity of a model: what it computes, not how its file is packed.
 */

import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";
import { AssetError } from "../errors.ts";
import { elementCount } from "../tensor/tensor.ts";
import type { Weights } from "./weights.ts";

export interface FingerprintSubject {
  /** Family of the model, such as `dit`. */
  readonly architecture: string;
  /** The resolved configuration, defaults filled in: plain JSON. */
  readonly config: unknown;
  /** Canonical names of the trained tensors; computed buffers such as `pos_embed` are left out. */
  readonly names: Iterable<string>;
}

const VALUES_PER_TENSOR = 64;

/**
 * `sha256:` and 64 hex digits over the configuration and, for every named tensor in sorted order, its
 * name, its shape, and its values at `floor(k·n/64)` as little-endian float32 (all, if n ≤ 64).
 *
 * Element type, file names, sharding and tensor order do not enter; a float16 file and its float32
 * upcast have the same fingerprint.
 *
 * @throws {AssetError} When a named tensor is absent or cannot be read.
 */
export async function fingerprint(weights: Weights, subject: FingerprintSubject): Promise<string> {
  const hash = sha256.create();
  const text = (line: string): void => void hash.update(new TextEncoder().encode(`${line}\n`));
  text("invardiff fingerprint 1");
  text(canonicalJson({ architecture: subject.architecture, config: subject.config }));
  for (const name of [...new Set(subject.names)].sort()) {
    const dims = weights.dims(name);
    if (dims === undefined) {
      throw new AssetError(`Cannot fingerprint weights: tensor ${name} must be there`);
    }
    text(canonicalJson([name, dims]));
    hash.update(littleEndian(await weights.sample(name, sampledIndices(elementCount(dims)))));
  }
  return `sha256:${bytesToHex(hash.digest())}`;
}

function sampledIndices(size: number): readonly number[] {
  const count = Math.min(size, VALUES_PER_TENSOR);
  return Array.from({ length: count }, (_, k) => Math.floor((k * size) / count));
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    if (Number.isNaN(value)) view.setUint32(4 * i, 0x7fc00000, true); // one NaN, on every engine
    else view.setFloat32(4 * i, value, true);
  });
  return bytes;
}

/** JSON without spaces, keys in code unit order. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
