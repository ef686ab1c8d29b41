/**
 * A prompt, and pictures to edit, on a server: encoded there, and drawn as the library draws them with as many threads.
 * ONNX Runtime adds products up in groups that depend on how many columns a thread has, which CLIP's 128 columns show.
 */
import { assertEquals } from "@std/assert";
import { openEngine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPicture } from "../../src/image/read_picture.ts";
import { golden } from "../image/golden_pictures.ts";
import { Client, pixelsOf } from "./client.ts";
import { type ServerName, withServer } from "./servers.ts";

const PEEPS = new URL("../../models/peeps-flux/", import.meta.url);
const PROMPT = "a person with curly hair, sunglasses and a green shirt, light blue background";
const REQUEST = { prompt: PROMPT, seed: 7, steps: 2 };
/** As large as the images: the left half is repainted. */
const MASK = {
  width: 48,
  height: 36,
  channels: 1,
  pixels: Uint8Array.from({ length: 48 * 36 }, (_, i) => i % 48 < 24 ? 255 : 0),
} as const;

/** Pictures to edit, of `tests/golden/pictures`. */
export const IMAGES = ["source.png", "plain.jpg", "lossy.webp"] as const;

type Image = typeof IMAGES[number];

/** How a server draws, and what it reads. */
export interface DrawnOptions {
  /** Threads of its wasm; one number for all tests of a file, whose process has one. */
  readonly threads: number;
  readonly images: readonly Image[];
}

/** Draws the prompt and edits the pictures on a server, and here. */
export async function expectDrawn(
  name: ServerName,
  { threads, images }: DrawnOptions,
): Promise<void> {
  const env = { INVARDIFF_MODEL: PEEPS.pathname, INVARDIFF_BACKEND: "wasm" };
  const wanted = await (drawn ??= drawAll(threads));
  await withServer(name, async ({ base }) => {
    const client = new Client(base);
    while ((await client.get("/v1/models")).json.error?.code === "model_loading");
    const { json: { data, notices } } = await client.generate(REQUEST);
    assertEquals(pixelsOf(data[0].b64_json), wanted.prompt);
    assertEquals(notices, []);
    for (const file of images) {
      const body = await editForm(file);
      const { status, json, text } = await client.get("/v1/images/edits", { method: "POST", body });
      assertEquals(status, 200, text);
      assertEquals(pixelsOf(json.data[0].b64_json), wanted[file], file);
    }
  }, env);
}

async function editForm(file: string): Promise<FormData> {
  const form = new FormData();
  const fields = { ...REQUEST, plan: "none", strength: 0.6 };
  for (const [name, value] of Object.entries(fields)) form.append(name, `${value}`);
  const alpha = Uint8Array.from({ length: 4 * MASK.pixels.length }, (_, i) => {
    return i % 4 === 3 ? 255 - MASK.pixels[(i - 3) / 4]! : 0;
  });
  const mask = await encodePng({ ...MASK, channels: 4, pixels: alpha });
  form.append("image", new Blob([await golden(file) as Uint8Array<ArrayBuffer>]), file);
  form.append("mask", new Blob([mask]), "mask.png");
  return form;
}

type Drawn = Readonly<Record<"prompt" | Image, readonly number[]>>;

let drawn: Promise<Drawn> | undefined;

async function drawAll(threads: number): Promise<Drawn> {
  const engine = await openEngine({ model: PEEPS, backend: "wasm", threads });
  const draw = async (options: GenerateOptions): Promise<readonly number[]> => {
    const { pictures } = await engine.generate({ ...REQUEST, plan: "none", ...options });
    return [...pictures[0]!.pixels]; // of the one prompt
  };
  const made: Record<string, readonly number[]> = { prompt: await draw({}) };
  for (const file of IMAGES) {
    made[file] = await draw({ image: await readPicture(await golden(file)), mask: MASK });
  }
  await engine.close();
  return made as Drawn; // all of them
}
