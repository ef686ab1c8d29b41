import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decode } from "fast-png";
import OpenAI from "openai";
import { toPictures } from "../../src/image/picture.ts";
import { fasterPlans } from "../../src/engine/faster_plans.ts";
import { TEXT_KEYWORD } from "../../src/engine/picture_record.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { previewSteps } from "../../src/server/job_spec.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { parseEvents, post, TOY_FACTS, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

const PATH = "/v1/images/generations";

Deno.test("a prompt that names a class is answered with its picture, and how it was made", async () => {
  const app = await toyApp();
  const response = await post(app, PATH, { prompt: "A photo of a SNEAKER!", seed: 5, n: 2 });
  const { data, created, ...rest } = await response.json();
  assert(Math.abs(created - Date.now() / 1000) < 60);
  assertEquals(rest, {
    model: "toy",
    size: "6x4",
    output_format: "png",
    background: "opaque",
    quality: "auto",
    seed: 5,
    sampler: "ddim",
    steps: 4,
    guidance_scale: 2,
    plan: null,
    policy: null,
    seconds: 0.04,
    notices: [],
  });
  assertEquals(data.map(({ seed }: { seed: number }) => seed), [5, 6]);
  const alone = await new ToyRenderer().render({
    pictures: [{ label: 3, seed: 6, guidance: 2 }],
    steps: 4,
  });
  const png = bytesOf(data[1].b64_json);
  assertEquals([...decode(png).data], [...toPictures(alone.latents)[0]!.pixels]);
  assertEquals(JSON.parse(readPngText(png)[TEXT_KEYWORD]!), {
    model: "toy",
    fingerprint: "sha256:toy",
    labels: [3],
    seed: 6,
    steps: 4,
    guidance: 2,
  });
});

Deno.test("without a seed one is drawn by lot, and told", async () => {
  const app = await toyApp();
  const seeds = await Promise.all([1, 2, 3].map(async () => {
    return (await (await post(app, PATH, { label: 0 })).json()).seed as number;
  }));
  assertEquals(new Set(seeds).size, 3);
});

Deno.test("url leads to the picture; formats are what they say", async () => {
  const app = await toyApp([new ToyRenderer()], { publicUrl: "https://pictures.example/" });
  for (const [format, magic] of [["png", "\x89PNG"], ["jpeg", "\xff\xd8"], ["webp", "RIFF"]]) {
    const body = { label: "Shirt", output_format: format, response_format: "url" };
    const { data: [{ url }] } = await (await post(app, PATH, body)).json();
    assertMatch(url, new RegExp(`^https://pictures\\.example/v1/images/[\\w-]{36}\\.${format}$`));
    const image = await app.request(new URL(url).pathname);
    assertEquals(image.headers.get("content-type"), `image/${format}`);
    const text = String.fromCharCode(...new Uint8Array(await image.arrayBuffer()));
    assert(text.startsWith(magic!), format);
  }
});

Deno.test("quality makes a JPEG smaller", async () => {
  const app = await toyApp([new ToyRenderer({ latent: [3, 64, 64] })]);
  const sizes = await Promise.all([5, 95].map(async (output_compression) => {
    const body = { label: 0, seed: 1, output_format: "jpeg", output_compression };
    const { data: [{ b64_json }] } = await (await post(app, PATH, body)).json();
    return b64_json.length as number;
  }));
  assert(sizes[0]! < sizes[1]!, `${sizes}`);
});

Deno.test("what cannot be done is refused by name", async () => {
  const app = await toyApp([new ToyRenderer()], { limits: { steps: 100 } });
  const cases: readonly (readonly [Record<string, unknown>, string, string])[] = [
    [{}, "prompt", "prompt must be given"],
    [{ prompt: "a dog" }, "prompt", "one of T-shirt/top, Shirt, Ankle boot"],
    [{ prompt: "a shirt and a sneaker" }, "prompt", "Sneaker"],
    [{ label: 4 }, "label", "0 … 3"],
    [{ label: "dog" }, "label", "Ankle boot"],
    [{ label: 1.5 }, "label", "label"],
    [{ label: 0, size: "big" }, "size", "size"],
    [{ label: 0, n: 0 }, "n", "n"],
    [{ label: 0, n: 11 }, "n", "current value is 11"],
    [{ label: 0, steps: 101 }, "steps", "steps"],
    [{ label: 0, size: "0x0" }, "size", "size"],
    [{ label: 0, size: "1024" }, "size", 'current value is "1024"'],
    [{ label: 0, seed: -2 }, "seed", "seed"],
    [{ label: 0, seed: 2 ** 53 }, "seed", "seed"],
    [{ label: 0, sampler: "unipcc" }, "sampler", "sampler must be one of 10 names such as unipc"],
    [{ label: 0, sampler: "heun", steps: 6 }, "steps", "steps of heun must be odd"],
    [{ label: 0, sampler: 7 }, "sampler", "sampler"],
    [{ label: 0, guidance_scale: "NaN" }, "guidance_scale", "guidance_scale"],
    [{ label: 0, plan: "other" }, "plan", "plan must be one of none"],
    [{ label: 0, model: "dall-e-3" }, "model", "one of toy: current value is dall-e-3"],
    [{ label: 0, quality: "best" }, "quality", "quality"],
    [{ label: 0, style: "cubist" }, "style", 'current value is "cubist"'],
    [{ label: 0, background: "blue" }, "background", "background"],
    [{ label: 0, moderation: "off" }, "moderation", "moderation"],
    [{ label: 0, user: 7 }, "user", "user"],
    [{ label: 0, colour: "red" }, "colour", "colour must not be given"],
    [{ label: 0, partial_images: 2 }, "partial_images", "stream"],
    [{ label: 0, partial_images: 4, stream: true }, "partial_images", "partial_images"],
    [{ label: 0, output_format: "avif" }, "output_format", "avif"],
  ];
  for (const [body, param, words] of cases) {
    const response = await post(app, PATH, body);
    const { error } = await response.json();
    assert(response.status === 400 || response.status === 404, JSON.stringify(body));
    assertEquals(error.param, param, JSON.stringify(body));
    assertStringIncludes(error.message, words);
  }
});

Deno.test("what clients of OpenAI send by default is accepted, and a notice says what changes nothing", async () => {
  const app = await toyApp();
  const cases: readonly (readonly [Record<string, unknown>, readonly string[]])[] = [
    [{ size: "auto", quality: "auto", background: "opaque", moderation: "auto" }, []],
    [{ size: "6x4", user: null, style: null }, []],
    [{ size: "1024x1024" }, ["The size is 6x4, the nearest to 1024x1024 that the model has."]],
    [{ size: "512x512", quality: "standard", style: "vivid" }, [
      "The size is 6x4, the nearest to 512x512 that the model has.",
      "Without a meaning here and ignored: quality, style.",
    ]],
    [{ quality: "hd", background: "transparent", moderation: "low", user: "u1" }, [
      "Without a meaning here and ignored: quality, background, moderation, user.",
    ]],
  ];
  for (const [fields, notices] of cases) {
    const answer = await (await post(app, PATH, { prompt: "sneaker", ...fields })).json();
    assertEquals([answer.size, answer.background, answer.notices], ["6x4", "opaque", notices]);
    const stream = await post(app, PATH, { prompt: "sneaker", stream: true, ...fields });
    assertEquals(parseEvents(await stream.text()).at(-1)?.data["notices"], notices);
  }
  const { id } = await (await post(app, "/v1/jobs", { label: 0, size: "512x512" })).json();
  const { notices } = await (await app.request(`/v1/jobs/${id}`)).json();
  assertEquals(notices, cases[3]![1].slice(0, 1));
});

Deno.test("seed -1 is a random seed, which the answer names and which makes the picture again", async () => {
  const app = await toyApp();
  const ask = async (seed: number): Promise<{ seed: number; data: { b64_json: string }[] }> =>
    await (await post(app, PATH, { prompt: "sneaker", seed })).json();
  const [first, second] = [await ask(-1), await ask(-1)];
  assert(first.seed !== second.seed && first.seed >= 0, `${first.seed}, ${second.seed}`);
  assertEquals((await ask(first.seed)).data, first.data);
});

Deno.test("previews begin after a tenth of the steps, none is the last step, and there are as many as fit", () => {
  for (let steps = 1; steps <= 300; steps++) {
    for (let count = 0; count <= 3; count++) {
      const found = [...previewSteps(count, steps)];
      assertEquals(found.length, Math.min(count, steps - 1), `${count} of ${steps}`);
      assertEquals(found, found.toSorted((a, b) => a - b));
      if (count === 0 || steps === 1) continue;
      assertEquals(found[0], Math.floor(steps / 10));
      assert(found.at(-1)! < steps - 1, `${found} of ${steps}`);
    }
    assertEquals([...previewSteps("all", steps)], Array.from({ length: steps - 1 }, (_, i) => i));
  }
});

Deno.test("bodies that are no JSON, too large, or too slow are refused", async () => {
  const app = await toyApp([new ToyRenderer()], {
    limits: { body: { bytes: 1000, seconds: 0.02 } },
  });
  const send = async (body: BodyInit, headers: Record<string, string> = {}): Promise<unknown[]> => {
    const response = await app.request(PATH, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
    return [response.status, (await response.json()).error.code];
  };
  assertEquals(await send("{"), [400, "invalid_json"]);
  assertEquals(await send(new Uint8Array([0x22, 0xff, 0x22])), [400, "invalid_json"]);
  assertEquals(await send("[]"), [400, "invalid_value"]);
  assertEquals(await send("prompt=sneaker", { "content-type": "text/plain" }), [
    415,
    "unsupported_media_type",
  ]);
  assertEquals(await send(`"${"x".repeat(1000)}"`), [413, "body_too_large"]);
  const chunks = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(100).fill(32)),
  });
  assertEquals(await send(chunks), [413, "body_too_large"]);
  const silent = new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array(1)),
  });
  assertEquals(await send(silent), [408, "body_timeout"]);
});

Deno.test("a model whose latents are no pixels, or that cannot be guided, says so", async () => {
  const latent = await toyApp([new ToyRenderer({ latent: [4, 8, 8] })]);
  const { error } = await (await post(latent, PATH, { label: 0 })).json();
  assertStringIncludes(error.message, "autoencoder");
  const unguided = await toyApp([new ToyRenderer({ guidable: false })]);
  assertEquals((await post(unguided, PATH, { label: 0 })).status, 200);
  const refused = await post(unguided, PATH, { label: 0, guidance_scale: 2 });
  assertEquals((await refused.json()).error.param, "guidance_scale");
});

Deno.test("a stream has as many previews as were asked for, then the pictures", async () => {
  const app = await toyApp();
  const body = { prompt: "sneaker", seed: 1, n: 2, steps: 8, stream: true, partial_images: 3 };
  const response = await post(app, PATH, body);
  assertMatch(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const events = parseEvents(await response.text());
  const kinds = events.map(({ event, data }) => `${event.split(".")[1]} ${data["image_index"]}`);
  assertEquals(kinds, [
    ...[1, 2, 3].flatMap(() => ["partial_image 0", "partial_image 1"]),
    "completed 0",
    "completed 1",
  ]);
  assertEquals(events.map(({ data }) => data["partial_image_index"] ?? "-").join(""), "001122--");
  for (const { event, data } of events) {
    assertEquals(data["type"], event);
    assertEquals(decode(bytesOf(data["b64_json"] as string)).width, 6);
  }
  assertEquals(events.at(-1)?.data["seed"], 2);
});

Deno.test("an error in a stream is an event", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.failure = new RangeError("Cannot generate: it must work");
  const response = await post(app, PATH, { prompt: "sneaker", stream: true });
  const [first] = parseEvents(await response.text());
  assertEquals(first?.event, "error");
  assertStringIncludes(JSON.stringify(first?.data), "Cannot generate: it must work");
});

Deno.test("a client that leaves cancels its job, whether it streams or waits", async () => {
  for (const stream of [false, true]) {
    const toy = new ToyRenderer();
    toy.hold();
    await withServer(await toyApp([toy]), async (url) => {
      const gone = new AbortController();
      const asked = fetch(`${url}${PATH}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: "sneaker", stream, partial_images: stream ? 1 : 0 }),
        signal: gone.signal,
      }).then((response) => response.text()).catch((error) => error.name);
      await until(() => toy.drawing === 1);
      gone.abort();
      assertEquals(await asked, "AbortError");
      await until(() => toy.stopped === 1);
    });
  }
});

Deno.test("OpenAI's own client works unchanged, streaming too", async () => {
  await withServer(
    await toyApp([new ToyRenderer()], { apiKeys: ["a-key-of-sixteen-letters"] }),
    async (url) => {
      const client = new OpenAI({
        baseURL: `${url}/v1`,
        apiKey: "a-key-of-sixteen-letters",
        maxRetries: 0,
      });
      const made = await client.images.generate({ model: "toy", prompt: "sneaker", n: 2 });
      assertEquals(made.data?.map(({ b64_json }) => decode(bytesOf(b64_json!)).height), [4, 4]);
      const stream = await client.images.generate({
        model: "toy",
        prompt: "sneaker",
        stream: true,
        partial_images: 2,
      });
      const types: string[] = [];
      for await (const { type, b64_json } of stream) {
        types.push(type);
        assertEquals(decode(bytesOf(b64_json)).height, 4);
      }
      assertEquals(types, [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
      ]);
      const { data } = await client.models.list();
      assertEquals(data.map(({ id }) => id), ["toy"]);
      const error = await client.images.generate({ prompt: "a dog" }).catch((error) => error);
      assert(error instanceof OpenAI.BadRequestError);
      assertEquals([error.param, error.status], ["prompt", 400]);
      const stranger = new OpenAI({
        baseURL: `${url}/v1`,
        apiKey: "not-a-key-of-this-server",
        maxRetries: 0,
      });
      const refused = await stranger.models.list().catch((error) => error);
      assert(refused instanceof OpenAI.AuthenticationError);
    },
  );
});

async function withServer(
  app: { fetch(request: Request): Response | Promise<Response> },
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => app.fetch(request),
  );
  try {
    await use(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

Deno.test("who asks for steps that no plan has is told which plans are as fast, in answers, streams and jobs", async () => {
  const plan = examplePlan(["...", "..."], {
    modules: ["a", "b", "c"],
    version: 2,
    fingerprints: [TOY_FACTS.fingerprint],
    reference: { sampler: "ddim", steps: 4 },
  });
  const app = await toyApp(undefined, { plans: [{ name: "toy.2x", plan }] });
  const asked = { prompt: "sneaker", steps: 3 };
  const said = [fasterPlans([{ name: "toy.2x", ...compilePlan(plan) }], {
    steps: 3,
    cost: TOY_FACTS.cost,
  })];
  const answer = await (await post(app, PATH, asked)).json();
  assertEquals([answer.plan, answer.notices], [null, said]);
  const stream = await post(app, PATH, { ...asked, stream: true });
  assertEquals(parseEvents(await stream.text()).at(-1)?.data["notices"], said);
  const { id } = await (await post(app, "/v1/jobs", { label: 0, steps: 3 })).json();
  assertEquals((await (await app.request(`/v1/jobs/${id}`)).json()).notices, said);
  const others = [
    { plan: "none" },
    { sampler: "unipc" },
    { policy: "teacache" },
    { steps: 1 },
    { steps: undefined },
  ];
  for (const fields of others) {
    const { notices } = await (await post(app, PATH, { ...asked, ...fields })).json();
    assertEquals(notices, [], JSON.stringify(fields));
  }
});
