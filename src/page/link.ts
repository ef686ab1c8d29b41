/**
 * A picture in the address bar: what comes after `#` says how it is drawn, so that a link draws it again. It
 * stays in the browser: servers are not sent it.
 */

import type { BrowserBackend, RunRequest } from "./run.ts";

/** The picture that a linked one begins from: by digests, since an address holds no picture. */
export interface LinkedEdit {
  /** Digest of the pixels of the image. */
  readonly image: string;
  /** Digest of the pixels of the mask. */
  readonly mask?: string | undefined;
  /** Share of the steps that run. */
  readonly strength: number;
}

/** What a link may say of a picture. */
export interface Linked extends Partial<Omit<RunRequest, "plan" | "edit">> {
  /** A plan's id, or `none`; absent = whichever fits. */
  readonly plan?: string;
  /** What it begins from; absent = noise alone. */
  readonly begins?: LinkedEdit;
}

/** A link as it was read. */
export interface ReadLink {
  readonly linked: Linked;
  /** Names of what it says that is nothing of ours. */
  readonly misread: readonly string[];
}

/** Longer prompts are not read of a link. */
const MAX_PROMPT = 32_000;
const MAX_STEPS = 1000;
const MAX_NAME = 200;

/** A request in the words of links, where every step is computed by the plan `none`. */
export function linkedOf({ plan = "none", edit: _, ...request }: RunRequest): Linked {
  return { ...request, plan };
}

/** What comes after `#` for a picture, and for the picture that it begins from. */
export function formatLink(request: RunRequest, begins?: LinkedEdit): string {
  return formatLinked({ ...linkedOf(request), ...(begins !== undefined && { begins }) });
}

/** What comes after `#` for what is known of a picture. */
export function formatLinked({ begins, ...linked }: Linked): string {
  const fields = new URLSearchParams();
  for (const [name, { key }] of Object.entries(FIELDS)) {
    const value = Reflect.get(linked, key);
    if (value !== undefined) fields.set(name, `${value}`);
  }
  for (const name of ["image", "mask", "strength"] as const) {
    if (begins?.[name] !== undefined) fields.set(name, `${begins[name]}`);
  }
  return `#${fields}`;
}

/** What a link asks for; `undefined` where it names neither prompt nor label, and so is none of ours. */
export function parseLink(hash: string): ReadLink | undefined {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  if (!fields.has("prompt") && !fields.has("label")) return undefined;
  const misread: string[] = [];
  const read = Object.entries(FIELDS).flatMap(([name, { key, read }]) => {
    const text = fields.get(name);
    if (text === null) return [];
    const value = read(text);
    if (value === undefined) misread.push(name);
    return value === undefined ? [] : [[key, value] as const];
  });
  const begins = beginsOf(fields);
  if (begins === undefined && fields.has("image")) misread.push("image");
  return {
    linked: { ...Object.fromEntries(read), ...(begins !== undefined && { begins }) },
    misread,
  };
}

interface Field {
  readonly key: keyof Linked;
  /** The value of a text; `undefined` where it is nothing of ours. */
  readonly read: (text: string) => string | number | undefined;
}

const words = (most: number) => (text: string): string | undefined =>
  text.length <= most ? text : undefined;
const whole = (least: number, most: number) => (text: string): number | undefined =>
  /^\d{1,16}$/.test(text) && Number(text) >= least && Number(text) <= most
    ? Number(text)
    : undefined;
const share = (text: string): number | undefined =>
  text !== "" && Number(text) >= 0 && Number(text) <= 100 ? Number(text) : undefined;
const engine = (text: string): BrowserBackend | undefined =>
  (["auto", "webgpu", "wasm"] as const).find((each) => each === text);

/** What stands in a link, by its name there. */
const FIELDS: Readonly<Record<string, Field>> = {
  prompt: { key: "prompt", read: words(MAX_PROMPT) },
  label: { key: "label", read: whole(0, Number.MAX_SAFE_INTEGER) },
  negative: { key: "negativePrompt", read: words(MAX_PROMPT) },
  true_guidance: { key: "trueGuidance", read: share },
  seed: { key: "seed", read: whole(0, Number.MAX_SAFE_INTEGER) },
  steps: { key: "steps", read: whole(1, MAX_STEPS) },
  sampler: { key: "sampler", read: words(MAX_NAME) },
  guidance: { key: "guidance", read: share },
  model: { key: "model", read: words(MAX_NAME) },
  plan: { key: "plan", read: words(MAX_NAME) },
  engine: { key: "engine", read: engine },
};

function beginsOf(fields: URLSearchParams): LinkedEdit | undefined {
  const [image, mask] = ["image", "mask"].map((name) => fields.get(name));
  const strength = Number(fields.get("strength") ?? NaN);
  const isDigest = (text: string): boolean => /^sha256:[0-9a-f]{64}$/.test(text);
  if (!isDigest(image ?? "") || !(strength > 0 && strength <= 1)) return undefined;
  if (typeof mask === "string" && !isDigest(mask)) return undefined;
  return { image: image!, ...(typeof mask === "string" && { mask }), strength }; // a digest
}
