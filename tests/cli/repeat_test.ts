/** Pictures of a server, made again by `generate --from`. */
import { assert, assertEquals } from "@std/assert";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { createApp } from "../../src/server/app.ts";
import { readPictureConditions } from "../../src/worker/picture_conditions.ts";
import { type LocalOptions, openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { fluxConditions, fluxPipelineFiles, pipelineFiles } from "../engine/pipeline_files.ts";
import { post } from "../server/toy_renderer.ts";
import { withFolder } from "./captured_run.ts";
import { expectRepeated } from "./repeated.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const WASM = { backend: "wasm", threads: 1 } as const;

Deno.test("--from repeats the picture of a server with the original's sampler and int8 weights, bit for bit", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(`${folder}/model`, await pipelineFiles());
    const body = { label: 3, seed: 9, steps: 4, guidance_scale: 1.5 };
    const plain = await pictureOf({ ...WASM, model }, body);
    const chosen = { sampler: "original", weights: "int8" } as const;
    const png = await pictureOf({ ...WASM, ...chosen, model }, body);
    assert(`${png}` !== `${plain}`, "sampler and precision make another picture");
    for (const [name, bytes] of [["plain", plain], ["chosen", png]] as const) {
      await Deno.writeFile(`${folder}/${name}.png`, bytes);
      await expectRepeated(`${folder}/${name}.png`, ["--model", model]);
    }
    const { sampler, weights } = JSON.parse(readPngText(png)["invardiff"]!);
    assertEquals({ sampler, weights }, chosen);
  });
});

Deno.test("--from repeats the picture of a server that has prompts, given their features again", async () => {
  await withFolder(async (folder) => {
    const model = await writeModel(`${folder}/model`, await fluxPipelineFiles());
    const { text, pooled, imageIds } = await fluxConditions();
    const file = `${folder}/prompts.safetensors`;
    const tensors = { text: text!, pooled: pooled!, image_ids: imageIds! }; // it has all of them
    const bytes = encodeSafetensors(new Map(Object.entries(tensors)));
    await Deno.writeFile(file, await new Blob([...bytes]).bytes());
    const given = { ...WASM, model, conditions: await readPictureConditions(file) };
    await Deno.writeFile(
      `${folder}/one.png`,
      await pictureOf(given, { label: 1, seed: 5, steps: 2 }),
    );
    await expectRepeated(`${folder}/one.png`, ["--model", model, "--conditions", file]);
  });
});

Deno.test("--from repeats a picture of fashion-dit along its plan, of any place in a request", async () => {
  await withFolder(async (folder) => {
    const png = await pictureOf(WASM, { prompt: "sandal", seed: 30, n: 2 }, 1);
    await Deno.writeFile(`${folder}/one.png`, png);
    const { seed, plan } = JSON.parse(readPngText(png)["invardiff"]!);
    assertEquals([seed, plan.name], [31, "fashion-dit.4x"]);
    await expectRepeated(`${folder}/one.png`, ["--model", FASHION_DIT.pathname]);
  });
});

async function writeModel(
  folder: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<string> {
  for (const [path, bytes] of files) {
    await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(`${folder}/${path}`, bytes);
  }
  return folder;
}

async function pictureOf(options: LocalOptions, body: object, index = 0): Promise<Uint8Array> {
  const renderer = await openLocalRenderer({ model: FASHION_DIT, ...options });
  try {
    const app = createApp({ renderers: [renderer] });
    await app.loaded;
    const { data } = await (await post(app, "/v1/images/generations", body)).json();
    return Uint8Array.from(atob(data[index].b64_json), (letter) => letter.charCodeAt(0));
  } finally {
    await renderer.close();
  }
}
