/** Any prompt over HTTP: drawn, recorded, counted; and what is refused. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseRecord, type PictureRecord } from "../../src/engine/picture_record.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { type App, createApp } from "../../src/server/app.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { parseEvents, post, talkative, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

const PEEPS = new URL("../../models/peeps-flux/", import.meta.url);
const PATH = "/v1/images/generations";
const LONG = "a red fox in the deep snow";
const LONG_NOTICE = `Toy reads 5 of the 7 tokens of "${LONG}"; the rest is left out.`;

Deno.test("a pipeline with text encoders is served as it is: its words, its prompts, its counts", async () => {
  const renderer = await openLocalRenderer({ model: PEEPS, backend: "wasm", threads: 1 });
  const app = createApp({ renderers: [renderer], plans: [] });
  await app.loaded;
  const { data: [model] } = await (await app.request("/v1/models")).json();
  assertEquals([model.takes_prompts, model.classes], [true, []]);
  const [prompt] = model.prompts.examples;
  const body = { prompt, seed: 3, steps: 1 };
  const { data, size, tokens } = await (await post(app, PATH, body)).json();
  assertEquals([size, recordOf(data[0].b64_json).prompts], ["128x128", [{ prompt }]]);
  assertEquals(tokens.map(({ encoder }: { encoder: string }) => encoder), ["CLIP", "T5"]);
  await app.drain();
  await renderer.close();
});

Deno.test("any prompt is drawn, and answer and picture say which, and how much of it was read", async () => {
  const app = await toyApp([talkative()]);
  const answer = await (await post(app, PATH, { prompt: LONG, seed: 5, n: 2 })).json();
  assertEquals([answer.prompt, answer.notices], [LONG, [LONG_NOTICE]]);
  assertEquals(answer.tokens, [{ encoder: "Toy", tokens: 7, limit: 5, omitted: 2 }]);
  const { labels, prompts, seed } = recordOf(answer.data[1].b64_json);
  assertEquals([labels, prompts, seed], [[0], [{ prompt: LONG }], 6]);
});

Deno.test("prompts of several fields reach the renderer, and those in effect the record", async () => {
  const renderer = talkative();
  const app = await toyApp([renderer]);
  const words = { prompt: "a fox", prompt_2: "a red fox", negative_prompt: "snow" };
  const { data, ...answer } = await (await post(app, PATH, { ...words, true_guidance_scale: 3 }))
    .json();
  const prompt = { prompt: "a fox", prompt2: "a red fox", negativePrompt: "snow" };
  assertEquals(renderer.batches[0]?.pictures[0]?.prompt, prompt);
  assertEquals(renderer.batches[0]?.trueGuidance, 3);
  assertEquals(answer.negative_prompt, "snow");
  assertEquals(answer.tokens[1], {
    encoder: "Toy",
    tokens: 1,
    limit: 5,
    negative: true,
    omitted: 0,
  });
  const record = recordOf(data[0].b64_json);
  assertEquals([record.prompts, record.trueGuidance], [[prompt], 3]);
  const idle = await (await post(app, PATH, { prompt: "a fox", true_guidance_scale: 3 })).json();
  assertEquals(recordOf(idle.data[0].b64_json).trueGuidance, undefined);
});

Deno.test("a stream and a job say the same of their prompts", async () => {
  const app = await toyApp([talkative()]);
  const stream = await post(app, PATH, { prompt: LONG, stream: true, partial_images: 1 });
  const last = parseEvents(await stream.text()).at(-1)?.data;
  assertEquals([last?.["prompt"], last?.["notices"]], [LONG, [LONG_NOTICE]]);
  const { id } = await (await post(app, "/v1/jobs", { prompt: LONG })).json();
  const job = await untilDone(app, id);
  assertEquals([job.request.prompt, job.request.labels, job.images[0]?.label], [LONG, [], null]);
  assertEquals([job.tokens[0]?.omitted, job.notices], [2, [LONG_NOTICE]]);
});

Deno.test("pictures of several clients are drawn together, and nobody reads another's prompt", async () => {
  const renderer = talkative();
  const app = await toyApp([renderer]);
  renderer.hold();
  const first = post(app, PATH, { prompt: "one" }); // alone, so that others wait
  await until(() => renderer.drawing === 1);
  const others = [{ prompt: LONG, n: 2 }, { prompt: "a boat" }, {
    prompt: "a boat",
    negative_prompt: "fog",
  }].map((body) => post(app, PATH, body));
  renderer.release();
  await first;
  const answers = await Promise.all(others.map(async (answer) => await (await answer).json()));
  assertEquals(renderer.batches.map(({ pictures }) => pictures.length), [1, 3, 1]);
  assertEquals(answers.map(({ notices }) => notices), [[LONG_NOTICE], [], []]);
  assertEquals(answers.map(({ tokens }) => tokens[0].tokens), [7, 2, 2]);
});

Deno.test("models and capabilities say which models draw any prompt, and what they know", async () => {
  const prompts = { subject: "a cat with", examples: ["a cat"], attributes: { hat: ["a hat"] } };
  const app = await toyApp([new ToyRenderer(), talkative({ id: "talks", prompts })]);
  const { data } = await (await app.request("/v1/models")).json();
  const told = data.map(({ takes_prompts, prompts }: Record<string, unknown>) => [
    takes_prompts,
    prompts,
  ]);
  assertEquals(told, [[false, null], [true, prompts]]);
  const { prompt_models } = await (await app.request("/v1/capabilities")).json();
  assertEquals(prompt_models, ["talks"]);
});

Deno.test("strange prompts are drawn like any other, as the renderer gets them", async () => {
  const renderer = talkative();
  const app = await toyApp([renderer]);
  const prompts = ["", "  \t\n", "nul \0 inside", "红狐狸 🦊", "\u202e\ufeff", "x".repeat(32_000)];
  for (const prompt of prompts) {
    const answer = await (await post(app, PATH, { prompt })).json();
    assertEquals(renderer.batches.at(-1)?.pictures[0]?.prompt, { prompt });
    assertEquals(recordOf(answer.data[0].b64_json).prompts, [{ prompt }]);
  }
});

Deno.test("prompts that are none, and fields of the other kind of model, are refused by name", async () => {
  const app = await toyApp([talkative(), new ToyRenderer({ id: "classes" })]);
  const half = "must be of whole characters";
  const cases: readonly (readonly [Record<string, unknown>, string, string])[] = [
    [{}, "prompt", "prompt must be given"],
    [{ label: 0 }, "label", "left out, for toy takes prompts"],
    [{ prompt: 7 }, "prompt", "expected string"],
    [{ prompt: ["a fox"] }, "prompt", "expected string"],
    [{ prompt: "a \ud83d fox" }, "prompt", half],
    [{ prompt: "a fox", negative_prompt: "\udc00" }, "negative_prompt", half],
    [{ prompt: "a fox", prompt_2: "\udc00" }, "prompt_2", half],
    [{ prompt: "x".repeat(32_001) }, "prompt", "<=32000 characters"],
    [{ prompt: "a fox", true_guidance_scale: -1 }, "true_guidance_scale", ">=0"],
    [{ model: "classes", prompt: "" }, "prompt", "one of"],
    [{ model: "classes", prompt: "  " }, "prompt", "one of"],
    [{ model: "classes", prompt: "a fox" }, "prompt", "Sneaker"],
    [
      { model: "classes", prompt: "sneaker", negative_prompt: "snow" },
      "negative_prompt",
      "left out, for classes knows classes only",
    ],
  ];
  for (const [body, param, words] of cases) {
    const response = await post(app, PATH, body);
    const { error } = await response.json();
    assertEquals([response.status, error.param], [400, param], JSON.stringify(body).slice(0, 99));
    assertStringIncludes(error.message, words);
    if (error.message.length > 500) throw new Error(error.message);
  }
  const large = await post(app, PATH, { prompt: "x".repeat(700_000) });
  await large.body?.cancel();
  assertEquals(large.status, 413);
});

function recordOf(base64: string): PictureRecord {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return parseRecord(readPngText(bytes))!;
}

interface JobAnswer {
  readonly state: string;
  readonly request: { readonly prompt: string; readonly labels: readonly number[] };
  readonly images: readonly { readonly label: number | null }[];
  readonly tokens: readonly { readonly omitted: number }[];
  readonly notices: readonly string[];
}

async function untilDone(app: App, id: string): Promise<JobAnswer> {
  for (;;) {
    const job: JobAnswer = await (await app.request(`/v1/jobs/${id}`)).json();
    if (job.state === "completed") return job;
  }
}
