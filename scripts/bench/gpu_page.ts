/**
 * What a page needs to measure a checkout's steps; bundled apart from the checkout, which is `/library.js`.
 */
import { type Library, StepMeter } from "./gpu_steps.ts";
import { subjectOf } from "./gpu_subjects.ts";

/** Opens a model in this page. */
export async function openMeter(library: Library, model: string, mode: string): Promise<StepMeter> {
  const { open, generate } = subjectOf(model);
  const runtimeFiles = { folder: `${location.origin}/` };
  return await StepMeter.open(library, { open: { ...open, runtimeFiles }, generate }, mode);
}
