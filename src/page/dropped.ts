/**
 * Pictures that are dropped onto the page: those that say how they were drawn are drawn again.
 */

import type { ModelView, PlanView } from "./contract.ts";
import type { Linked } from "./link.ts";
import { type PngRecord, readPngRecord } from "./png_record.ts";

/** What there is to draw with. */
export interface Drawable {
  readonly models: readonly ModelView[];
  readonly plans: readonly PlanView[];
}

/** What a file turned out to be. */
export type Dropped =
  /** A picture of ours, or a grid of several, which begins with it. */
  | { readonly kind: "drawn"; readonly linked: Linked; readonly pictures: number }
  /** A picture that does not say how it was drawn. */
  | { readonly kind: "picture" }
  /** Nothing that can be used, in words. */
  | { readonly kind: "refused"; readonly words: string };

/** Larger files are not read: what a server takes is not larger. */
const MOST_BYTES = 20e6;

/** Looks into a file. */
export async function readDropped(file: File, offer: Drawable): Promise<Dropped> {
  const { name, size, type } = file;
  if (!type.startsWith("image/")) return refused(`${name} is no picture.`);
  if (size > MOST_BYTES) {
    const [has, most] = [size, MOST_BYTES].map((bytes) => (bytes / 1e6).toFixed(0));
    return refused(`${name} is too large: it has ${has} MB, and ${most} MB are the most.`);
  }
  if (type !== "image/png") return { kind: "picture" };
  try {
    const record = readPngRecord(new Uint8Array(await file.arrayBuffer()));
    return record === undefined ? { kind: "picture" } : drawnBy(record, { name, offer });
  } catch {
    return refused(`${name} is damaged: it is no whole PNG.`);
  }
}

function drawnBy(
  record: PngRecord,
  { name, offer }: { readonly name: string; readonly offer: Drawable },
): Dropped {
  const model = offer.models.find(({ fingerprint }) => fingerprint === record.fingerprint);
  if (model === undefined) {
    const isKnown = offer.models.some(({ id }) => id === record.model);
    const drawer = record.model || "another model";
    const who = isKnown ? `other weights of ${drawer} than` : `${drawer}, which is not what`;
    return refused(`${name} was drawn by ${who} this server has.`);
  }
  const plan = record.plan && planOf(record.plan.digest, model, offer);
  const lack = record.plan !== undefined && plan === undefined
    ? `the plan ${record.plan.name}, which this server does not have`
    : record.seed === undefined
    ? "given noise, which no seed tells"
    : record.beyond[0];
  if (lack !== undefined) {
    return refused(`${name} was drawn with ${lack}: this page cannot draw it again.`);
  }
  return { kind: "drawn", linked: linkedOf(record, { model, plan }), pictures: record.pictures };
}

function linkedOf(
  record: PngRecord,
  { model, plan }: { readonly model: ModelView; readonly plan: PlanView | undefined },
): Linked {
  const { label, prompt, negativePrompt, trueGuidance, seed, steps, guidance, begins } = record;
  const sampler = record.sampler === model.sampler.name ? undefined : record.sampler;
  const all = {
    ...{ model: model.id, label, prompt, negativePrompt, trueGuidance },
    ...{ seed, steps, sampler, guidance, plan: plan?.id ?? "none", begins },
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Plans may be called otherwise: what makes equal pictures has an equal digest. */
function planOf(digest: string, model: ModelView, { plans }: Drawable): PlanView | undefined {
  return plans.find((plan) => plan.digest === digest && model.plans.includes(plan.id));
}

function refused(words: string): Dropped {
  return { kind: "refused", words };
}
