/** A renderer that draws at once, or step by step when a test says so, and remembers what it was asked. */
import type { PicturePrompt, PromptTokens } from "../../src/engine/prompt_texts.ts";
import { stepsLeftOut } from "../../src/engine/edit_facts.ts";
import { BackendError } from "../../src/errors.ts";
import { type App, createApp } from "../../src/server/app.ts";
import type { AppOptions } from "../../src/server/app_options.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { StepKind } from "../../src/plan/compile.ts";
import { commonKind } from "../../src/plan/step_counts.ts";
import { joinRows } from "../../src/tensor/rows.ts";
import type {
  Batch,
  Rendered,
  Renderer,
  RendererFacts,
  RenderOptions,
} from "../../src/worker/renderer.ts";

/** What it says of itself; three modules of equal cost. */
export const TOY_FACTS: RendererFacts = {
  id: "toy",
  architecture: "toy",
  modules: ["a", "b", "c"],
  cost: { embed: 0, head: 1, modules: [0, 1, 2].map(() => ({ branch: 3, merge: 0 })) },
  latent: [1, 4, 6],
  takesPrompts: false,
  classes: 4,
  classNames: ["T-shirt/top", "Shirt", "Ankle boot", "Sneaker"],
  edits: true,
  policies: ["first-block", "teacache"],
  guidable: true,
  sampler: { name: "ddim", steps: 4, guidance: 2 },
  fingerprint: "sha256:toy",
  record: { model: "toy", fingerprint: "sha256:toy" },
  backend: { name: "wasm", description: "toy, 1 thread", reason: "asked for" },
};

/** A toy. */
export class ToyRenderer implements Renderer {
  readonly facts: RendererFacts;
  /** Batches it was asked for, in order. */
  readonly batches: Batch[] = [];
  /** How many of them were stopped. */
  stopped = 0;
  /** Batches that are being drawn. */
  drawing = 0;
  /** What the next batch fails with. */
  failure: Error | undefined;
  #held = false;
  #waiting: (() => void)[] = [];

  constructor(facts: Partial<RendererFacts> = {}) {
    const all = { ...TOY_FACTS, ...facts };
    const [channels] = all.latent;
    this.facts = channels === 1 || channels === 3 ? { ...all, picture: all.latent } : all;
  }

  /** From now on every step waits until it is let go. */
  hold(): void {
    this.#held = true;
  }

  /** Lets the steps that wait go, and those that follow. */
  release(): void {
    this.#held = false;
    this.letGo();
  }

  /** Lets the steps that wait go. */
  letGo(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    this.batches.push(batch);
    this.drawing++;
    try {
      return await this.#draw(batch, options);
    } catch (error) {
      if (options.signal?.aborted === true) this.stopped++;
      throw error;
    } finally {
      this.drawing--;
    }
  }

  async #draw(
    batch: Batch,
    { onPreparing, onStep, previews, signal }: RenderOptions,
  ): Promise<Rendered> {
    const words = batch.pictures.flatMap(({ prompt }) => prompt ?? []);
    words.forEach((_, i) => onPreparing?.({ what: "prompts", done: i + 1, total: words.length }));
    const latents = joinRows(batch.pictures.map(({ seed, label, prompt, guidance }) => {
      const { dims, data } = normalNoise([1, ...this.facts.latent], seed);
      return {
        dims,
        data: data.map((value) =>
          value / 4 + (label ?? prompt?.prompt.length ?? 0) / 10 + guidance / 100
        ),
      };
    }));
    const strength = batch.edit?.strength ?? 1;
    const steps = batch.steps - stepsLeftOut(batch.steps, strength);
    for (let index = 0; index < steps; index++) {
      await this.#turn(signal);
      signal?.throwIfAborted();
      const { failure } = this;
      this.failure = undefined;
      if (failure !== undefined) throw failure;
      const kinds = batch.policy === undefined ? undefined : kindsAt(index, batch);
      const kind = commonKind(kinds ?? ["full"]);
      const step = { index, steps, kind, ...(kinds && { kinds }), seconds: 0.01, keptBytes: 8 };
      onStep?.({ ...step, ...(previews === true && { preview: latents }) });
    }
    return {
      latents,
      ...(batch.policy !== undefined && {
        reused: batch.pictures.map(({ seed }) => Math.max(0, steps - 1 - seed % 2)),
      }),
      ...(words.length > 0 && { tokens: words.map(countWords) }),
      pictures: latents,
      loopSeconds: 0.01 * steps,
      conditioningSeconds: 0,
      decodingSeconds: 0,
      peakFeatureBytes: 8,
      notices: [],
    };
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#held) return await Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    signal?.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  async counts(): Promise<{ values: number; sessions: number }> {
    return await Promise.resolve({ values: 0, sessions: 1 });
  }

  async close(): Promise<void> {}
}

/** A toy that draws any prompt; of each text it reads five words. */
export function talkative(facts: Partial<RendererFacts> = {}): ToyRenderer {
  return new ToyRenderer({ takesPrompts: true, classes: 0, classNames: [], ...facts });
}

/** A policy reuses all but the first step here; of pictures with an odd seed, all but the first two. */
function kindsAt(index: number, { pictures }: Batch): readonly StepKind[] {
  return pictures.map(({ seed }) => index > seed % 2 ? "reuse" : "full");
}

function countWords({ prompt, negativePrompt }: PicturePrompt): readonly PromptTokens[] {
  const count = (text: string): PromptTokens => ({
    encoder: "Toy",
    tokens: text.split(" ").length,
    limit: 5,
  });
  const negative = negativePrompt === undefined ? [] : [count(negativePrompt)];
  return [count(prompt), ...negative.map((it) => ({ ...it, negative: true as const }))];
}

/** A failure as a broken device has it. */
export const BROKEN = new BackendError("Cannot run block 3: the device must not be lost");

/** An app over toys; without bundled plans, which fit none of them. */
export async function toyApp(
  renderers: readonly ToyRenderer[] = [new ToyRenderer()],
  options: Partial<AppOptions> = {},
): Promise<App> {
  const app = createApp({ renderers, plans: [], ...options });
  await app.loaded;
  return app;
}

/** Posts JSON. */
export async function post(
  app: App,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> {
  return await app.request(path, {
    method: "POST",
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
    body: JSON.stringify(body),
  });
}

/** Waits, without a clock, until a condition holds: it lets others' turns pass. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  throw new Error("the condition never held");
}

/** The events of a stream, parsed. */
export function parseEvents(
  text: string,
): { readonly id: string; readonly event: string; readonly data: Record<string, unknown> }[] {
  return text.split("\n\n").filter((block) => /^data:/m.test(block)).map((block) => {
    const field = (name: string): string =>
      new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
    return { id: field("id"), event: field("event"), data: JSON.parse(field("data")) };
  });
}
