/**
 * How much memory a run would take on each backend, before anything is loaded.
 *
 * @module
 */

export type { AutoencoderNeeds } from "../decode/needs.ts";
export type { EncoderNeeds } from "../text/needs.ts";
export type { MemoryNeeds } from "./needs.ts";
export { estimateMemory, type MemoryReport, type MemoryRequest } from "./report.ts";
export type { BackendMemory, RunNeeds } from "./run.ts";
