/**
 * Types of the elements that are uploaded, in the runtime's words.
 */

import { ELEMENT_BYTES } from "../onnx/graph.ts";
import type { HostNumbers } from "./backend.ts";

export type UploadedType = "float32" | "float16" | "uint8";

const BYTES: Readonly<Record<string, number>> = ELEMENT_BYTES; // the runtime's words are ONNX's

/** The type of these numbers. */
export function elementType({ data }: HostNumbers): UploadedType {
  if (data instanceof Float32Array) return "float32";
  return data instanceof Uint16Array ? "float16" : "uint8";
}

/** Bytes of one element; of a type that we do not upload, those of float32, which all results are. */
export function elementBytes(type: string): number {
  return BYTES[type] ?? 4;
}
