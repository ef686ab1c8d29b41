/**
 * What a run would take of memory on each backend, before anything is loaded.
 *
 * @module
 */

export type { MemoryNeeds } from "./needs.ts";
export { estimateMemory, type MemoryReport, type MemoryRequest } from "./report.ts";
export type { BackendMemory, RunNeeds } from "./run.ts";
