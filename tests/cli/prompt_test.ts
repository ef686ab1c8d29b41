/** Prompts on the command line, with a small pipeline that has encoders. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { decode } from "fast-png";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { openPipeline } from "../../src/engine/open_pipeline.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { promptFiles } from "../engine/text/prompt_pipeline.ts";
import { capturedRun, withFolder } from "./captured_run.ts";
import { expectRepeated } from "./repeated.ts";

const WASM = ["--backend", "wasm", "--threads", "1"];
/** A prompt that is longer than both encoders read. */
const LONG = "ab c ".repeat(8).trim();

/** A folder with the pipeline in `model`. */
async function withModel(use: (folder: string, model: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    for (const [path, bytes] of await promptFiles()) {
      await Deno.mkdir(`${folder}/model/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeFile(`${folder}/model/${path}`, bytes);
    }
    await use(folder, `${folder}/model`);
  });
}

Deno.test("generate draws a picture of each prompt, says which is which, and --from repeats them", async () => {
  await withModel(async (folder, model) => {
    const out = `${folder}/a.png`;
    const asked = ["--model", model, ...WASM, "--steps", "2", "--seed", "3", "--guidance", "3"];
    const prompts = ["--prompt", "ab c", "--prompt", "", "--prompt2", "b", "--count", "5"];
    const guided = ["--negative-prompt", "ca", "--true-guidance", "2.5"];
    const { code, stdout, stderr } = await capturedRun(
      ...["generate", ...asked, ...prompts, ...guided, "--out", out],
    );
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "2 steps, guidance 3, true guidance 2.5, seed 3\n");
    assertStringIncludes(stdout, 'picture 1, 3, 5 "ab c"; second encoder: "b"; not: "ca"\n');
    assertStringIncludes(stdout, 'picture 2, 4 ""; second encoder: "b"; not: "ca"\n');
    const record = JSON.parse(readPngText(await Deno.readFile(out))["invardiff"]!);
    const texts = { prompt2: "b", negativePrompt: "ca" };
    assertEquals(record.prompts, [{ prompt: "ab c", ...texts }, { prompt: "", ...texts }]);
    assertEquals([record.labels, record.trueGuidance], [[0, 1, 0, 1, 0], 2.5]);
    await expectRepeated(out, ["--model", model]);
    const plain = `${folder}/plain.png`;
    const other = ["--model", model, ...WASM, "--true-guidance", "1", "--out", plain];
    assertEquals((await capturedRun("generate", "--from", out, ...other)).code, 0);
    const [one, two] = [decode(await Deno.readFile(out)), decode(await Deno.readFile(plain))];
    assert(one.data.some((value, i) => value !== two.data[i]), "guidance makes another picture");
  });
});

Deno.test("--from repeats a picture of the library, of a place, a size and a prompt of its own", async () => {
  await withModel(async (folder, model) => {
    const pipeline = await openPipeline({ model, backend: "wasm", threads: 1 });
    const prompts = ["c", LONG];
    const run = { prompts, seed: 8, steps: 2, grid: [2, 3], guidance: 2 } as const;
    const { pictures: [, second] } = await pipeline.generate(run);
    await pipeline.close();
    assertEquals(second!.prompt, { prompt: LONG });
    await Deno.writeFile(`${folder}/a.png`, await second!.png());
    await expectRepeated(`${folder}/a.png`, ["--model", model]);
  });
});

Deno.test("generate says how much of a prompt is read, in JSON each prompt's tokens", async () => {
  await withModel(async (folder, model) => {
    const asked = ["--model", model, ...WASM, "--steps", "1", "--prompt", LONG];
    const latents = ["--latents", `${folder}/a.safetensors`];
    const { code, stderr } = await capturedRun("generate", ...asked, ...latents);
    assertEquals(code, 0, stderr);
    const [clip, t5] = stderr.split("\n").filter((line) => line.startsWith("note: "));
    assertStringIncludes(clip!, "note: CLIP reads 16 of the ");
    assertStringIncludes(t5!, "note: T5 reads 20 of the ");
    const told = await capturedRun("generate", ...asked, ...latents, "--json");
    const { tokens: [[first, second]], notices, prompts } = JSON.parse(told.stdout);
    assertEquals([first.encoder, first.limit, first.tokens > 16], ["CLIP", 16, true]);
    assertEquals([second.encoder, second.limit], ["T5", 20]);
    assertEquals(notices.length, 2);
    assertEquals(prompts, [{ prompt: LONG }]);
  });
});

Deno.test("noise alone is enough beside prompts, a picture for each of its rows", async () => {
  await withModel(async (folder, model) => {
    const file = `${folder}/noise.safetensors`;
    const noise = normalNoise([2, 16, 16], 4);
    await Deno.writeFile(file, joinBytes([...encodeSafetensors(new Map([["noise", noise]]))]));
    const { code, stdout, stderr } = await capturedRun(
      ...["generate", "--model", model, ...WASM, "--steps", "1", "--prompt", "ab", "--json"],
      ...["--conditions", file, "--latents", `${folder}/a.safetensors`],
    );
    assertEquals(code, 0, stderr);
    const { labels, seeds, prompts } = JSON.parse(stdout);
    assertEquals([labels, seeds, prompts], [[0, 0], [], [{ prompt: "ab" }]]);
  });
});

Deno.test("a model of words refuses labels with the prompt that says the same, and nothing at all", async () => {
  await withModel(async (folder, model) => {
    const asked = ["generate", "--model", model, ...WASM, "--out", `${folder}/a.png`];
    const refuses = async (words: readonly string[], message: string): Promise<void> => {
      const { code, stdout, stderr } = await capturedRun(...asked, ...words);
      assertEquals([code, stdout], [2, ""], stderr);
      assertStringIncludes(stderr, message);
    };
    await refuses(
      ["--label", "Sneaker"],
      'model knows words and no classes; prompt instead of label must be such as "Sneaker"',
    );
    await refuses([], "prompt must be given to model: current value is none");
  });
});
