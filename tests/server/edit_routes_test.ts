import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import OpenAI, { toFile } from "openai";
import { TEXT_KEYWORD } from "../../src/engine/picture_record.ts";
import { pictureDigest } from "../../src/engine/edit_facts.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { encodePng } from "../../src/image/png.ts";
import type { Picture } from "../../src/image/picture.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import type { App } from "../../src/server/app.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { createApp } from "../../src/server/app.ts";
import { golden } from "../image/golden_pictures.ts";
import { tinyModel } from "./tiny_model.ts";
import { parseEvents, toyApp, ToyRenderer } from "./toy_renderer.ts";

const PATH = "/v1/images/edits";
const IMAGE = await golden("plain.jpg"); // 48 × 36

/** A mask of the image's size, transparent in its upper half. */
const MASK: Picture = {
  ...{ width: 48, height: 36, channels: 4 },
  pixels: Uint8Array.from(
    { length: 48 * 36 * 4 },
    (_, i) => i % 4 === 3 && i < 48 * 18 * 4 ? 0 : 255,
  ),
};

type Part = string | Uint8Array;

/** Posts a form; a list is a field that is given several times. */
async function send(
  app: App,
  fields: Readonly<Record<string, Part | readonly Part[]>>,
): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    const parts = Array.isArray(value) ? value : [value];
    for (const part of parts) {
      form.append(name, typeof part === "string" ? part : new Blob([new Uint8Array(part)]));
    }
  }
  return await app.request(PATH, { method: "POST", body: form });
}

Deno.test("a picture is edited: the last steps run, and its record names what it began from", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  const mask = await encodePng(MASK);
  const fields = { image: IMAGE, mask, prompt: "sneaker", strength: "0.5", seed: "7", n: "2" };
  const response = await send(app, fields);
  const answer = await response.json();
  assertEquals(response.status, 200, JSON.stringify(answer));
  assertEquals([answer.strength, answer.steps, answer.seed, answer.data.length], [0.5, 4, 7, 2]);
  assertEquals(answer.seconds, 0.02);
  assertEquals(
    answer.notices,
    [
      "The image of 48 × 36 was resized to 6 × 4.",
    ].map((notice) =>
      notice.replace("resized", "cropped to 48 × 32 around its centre and resized")
    ),
  );
  const { edit } = toy.batches[0]!;
  assertEquals([edit!.image!.width, edit!.image!.height, edit!.strength], [6, 4, 0.5]);
  assertEquals([...edit!.mask!.pixels].map((level) => level >= 128), [
    ...new Array(12).fill(true),
    ...new Array(12).fill(false),
  ]);
  const png = Uint8Array.from(atob(answer.data[1].b64_json), (letter) => letter.charCodeAt(0));
  const record = JSON.parse(readPngText(png)[TEXT_KEYWORD]!);
  assertEquals(record.edit.image, pictureDigest(await readPicture(IMAGE)));
  assertEquals([typeof record.edit.mask, record.edit.strength, record.seed], ["string", 0.5, 8]);
});

Deno.test("strength is 0.6 unless given, and edits of different pictures run one after another", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  const answers = await Promise.all([1, 2].map(() => send(app, { image: IMAGE, label: "1" })));
  for (const response of answers) assertEquals((await response.json()).strength, 0.6);
  assertEquals(toy.batches.map(({ pictures }) => pictures.length), [1, 1]);
});

const PNG = await golden("source.png");
const BAD: readonly (readonly [
  fields: Readonly<Record<string, Part | readonly Part[]>>,
  param: string | null,
  why: string,
])[] = [
  [{ label: "1" }, "image", "image must be one picture: current value is 0"],
  [
    { label: "1", "image[]": [IMAGE, PNG] },
    "image",
    "image must be one picture: current value is 2",
  ],
  [{ label: "1", image: IMAGE, "image[]": PNG }, "image", "one picture: current value is 2"],
  [{ label: "1", image: "https://example.com/cat.png" }, "image", "image must be a file"],
  [{ label: "1", image: IMAGE, mask: [PNG, PNG] }, "mask", "mask must be one picture"],
  [{ label: "1", image: IMAGE, mask: PNG }, "mask", "mask must be transparent where"],
  [
    { label: "1", image: IMAGE, mask: await golden("resized/smaller.png") },
    "mask",
    "mask must be 48 × 36, as the image is: current value is 20 × 31",
  ],
  [{ label: "1", image: new TextEncoder().encode("GIF89a") }, "image", "PNG, JPEG or WebP"],
  [{ label: "1", image: IMAGE.slice(0, 700) }, "image", "JPEG"],
  [{ label: "1", image: await golden("cmyk.jpg") }, "image", "JPEG is damaged, or of a kind"],
  [
    { label: "1", image: huge(PNG) },
    "image",
    "less than 25 megapixels: current value is 5000 × 5000",
  ],
  [{ label: "1", image: IMAGE, strength: "0" }, "strength", "strength"],
  [{ label: "1", image: IMAGE, strength: "1.5" }, "strength", "strength"],
  [{ label: "1", image: IMAGE, strength: "NaN" }, "strength", "strength"],
  [{ label: "1", image: IMAGE, strength: "much" }, "strength", 'current value is "much"'],
  [{ label: "1", image: IMAGE, n: ["1", "2"] }, "n", "n must be given once"],
  [{ label: "1", image: IMAGE, n: "eleven" }, "n", "n"],
  [{ label: "1", image: IMAGE, stream: "yes" }, "stream", "stream"],
  [{ label: "1", image: IMAGE, colour: "red" }, "colour", "colour must not be given"],
  [{ label: "1", image: IMAGE, style: "vivid" }, "style", "style must not be given"],
  [{ label: "1", image: IMAGE, partial_images: "2" }, "partial_images", "stream"],
  [{ image: IMAGE }, "prompt", "prompt must be given"],
  [{ label: "1", image: IMAGE, seed: IMAGE }, "seed", "seed"],
];

/** A PNG whose header says that it is 25 megapixels large. */
function huge(png: Uint8Array): Uint8Array {
  const file = png.slice();
  new DataView(file.buffer).setUint32(16, 5000);
  new DataView(file.buffer).setUint32(20, 5000);
  return file;
}

Deno.test("what is no edit is refused by name before anything is drawn", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  for (const [fields, param, why] of BAD) {
    const response = await send(app, fields);
    const { error } = await response.json();
    assertEquals([response.status, error.param], [400, param], error.message);
    assertStringIncludes(error.message, why);
  }
  assertEquals(toy.batches.length, 0);
});

Deno.test("a form is no JSON, is not larger than the bounds say, and has parts", async () => {
  const limits = { upload: { bytes: 2000, seconds: 5 } };
  const app = await toyApp([new ToyRenderer()], { limits });
  const form = { "content-type": "multipart/form-data; boundary=x" };
  const cases = [
    [{ "content-type": "application/json" }, "{}", 415, "unsupported_media_type"],
    [form, "junk", 400, "invalid_form"],
    [form, "-".repeat(2001), 413, "body_too_large"],
  ] as const;
  for (const [headers, body, status, code] of cases) {
    const response = await app.request(PATH, { method: "POST", headers, body });
    assertEquals([response.status, (await response.json()).error.code], [status, code]);
  }
  const get = await app.request(PATH);
  assertEquals([get.status, get.headers.get("allow")], [405, "POST"]);
});

Deno.test("a model that cannot begin from a picture says so, and capabilities and models do", async () => {
  const app = await toyApp([new ToyRenderer({ edits: false })]);
  const response = await send(app, { image: IMAGE, label: "1" });
  const { error } = await response.json();
  assertEquals([response.status, error.code], [400, "unsupported_model"]);
  assertStringIncludes(error.message, "toy cannot begin from a picture");
  const edits = async (app: App): Promise<unknown[]> => {
    const { data: [model] } = await (await app.request("/v1/models")).json();
    const { edit_models, limits, routes } = await (await app.request("/v1/capabilities")).json();
    assertEquals([limits.upload_bytes, limits.upload_pixels], [20e6, 25e6]);
    assert(routes.includes(`POST ${PATH}`));
    return [model.edits, edit_models];
  };
  assertEquals(await edits(app), [false, []]);
  assertEquals(await edits(await toyApp()), [true, ["toy"]]);
});

Deno.test("a stream has previews and the picture, by OpenAI's names", async () => {
  const app = await toyApp();
  const fields = { image: IMAGE, label: "1", steps: "10", stream: "true", partial_images: "2" };
  const events = parseEvents(await (await send(app, fields)).text());
  assertEquals(events.map(({ event }) => event), [
    "image_edit.partial_image",
    "image_edit.partial_image",
    "image_edit.completed",
  ]);
  assertEquals(events.map(({ data }) => data["type"]), events.map(({ event }) => event));
  assertEquals(events.at(-1)!.data["strength"], 0.6);
});

Deno.test("OpenAI's own client edits pictures, at once and as a stream", async () => {
  const app = await toyApp();
  const client = new OpenAI({
    apiKey: "none",
    baseURL: "http://localhost/v1",
    fetch: (input, init) => Promise.resolve(app.request(input as string, init)), // it gives texts
  });
  const image = await toFile(IMAGE, "shoe.jpg", { type: "image/jpeg" });
  const mask = await toFile(await encodePng(MASK), "mask.png", { type: "image/png" });
  const asked = { model: "toy", prompt: "a sneaker", image, mask } as const;
  const { data } = await client.images.edit({ ...asked, n: 2, size: "1024x1024" });
  assertEquals(data!.length, 2);
  const listed = await client.images.edit({ ...asked, image: [image] });
  assertEquals(listed.data!.length, 1);
  const types: string[] = [];
  const stream = await client.images.edit({ ...asked, stream: true, partial_images: 1 });
  for await (const { type } of stream) types.push(type);
  assertEquals(types, ["image_edit.partial_image", "image_edit.completed"]);
});

Deno.test("a real model's edit keeps what the mask keeps", async () => {
  const renderer = await openLocalRenderer({ model: await tinyModel(), backend: "wasm" });
  const app = createApp({ renderers: [renderer], plans: [] });
  await app.loaded;
  const image: Picture = { width: 8, height: 8, channels: 1, pixels: new Uint8Array(64).fill(51) };
  const pixels = Uint8Array.from({ length: 256 }, (_, i) => i % 4 === 3 && i < 128 ? 0 : 255);
  const mask: Picture = { width: 8, height: 8, channels: 4, pixels };
  const response = await send(app, {
    ...{ label: "1", steps: "4", strength: "1", seed: "3" },
    image: await encodePng(image),
    mask: await encodePng(mask),
  });
  const { data, notices } = await response.json();
  await renderer.close();
  const png = Uint8Array.from(atob(data[0].b64_json), (letter) => letter.charCodeAt(0));
  const { pixels: made } = await readPicture(png);
  assertEquals([...made.subarray(32)], new Array(32).fill(51));
  assert(made.subarray(0, 32).some((level) => level !== 51));
  assertEquals(notices, []);
});
