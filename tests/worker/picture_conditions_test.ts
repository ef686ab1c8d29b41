import { assertEquals, assertRejects } from "@std/assert";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { AssetError } from "../../src/errors.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { readPictureConditions } from "../../src/worker/picture_conditions.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { ramp } from "../assets/files.ts";
import { withFolder } from "../cli/captured_run.ts";

const TEXT: Tensor = { dims: [2, 3, 4], data: ramp(24) };
const POOLED: Tensor = { dims: [2, 5], data: ramp(10) };

async function reading(
  tensors: Readonly<Record<string, Tensor>>,
  prompts?: unknown,
): Promise<unknown> {
  let found: unknown;
  await withFolder(async (folder) => {
    const path = `${folder}/c.safetensors`;
    const metadata = prompts === undefined ? undefined : { prompts: JSON.stringify(prompts) };
    await Deno.writeFile(
      path,
      joinBytes([...encodeSafetensors(new Map(Object.entries(tensors)), metadata)]),
    );
    found = await readPictureConditions(path);
  });
  return found;
}

Deno.test("readPictureConditions() reads text, pooled text and what people call them", async () => {
  assertEquals(await reading({ text: TEXT, pooled: POOLED }, ["a", "b"]), {
    conditions: { text: TEXT, pooled: POOLED },
    names: ["a", "b"],
  });
  const imageIds: Tensor = { dims: [1, 3], data: Float32Array.of(0, 1, 2) };
  assertEquals(await reading({ text: TEXT, pooled: POOLED, image_ids: imageIds }), {
    conditions: { text: TEXT, pooled: POOLED, image_ids: imageIds },
    names: [],
  });
});

Deno.test("readPictureConditions() refuses names that are not one for each row, and a file without conditions", async () => {
  const both = { text: TEXT, pooled: POOLED };
  await assertRejects(
    () => reading(both, ["a"]),
    AssetError,
    "prompts must be 2, one for each row of text: current value is 1",
  );
  await assertRejects(() => reading(both, "a"), AssetError, "it must be of type array");
  await assertRejects(
    () => reading({ noise: TEXT }),
    AssetError,
    "it must have text, pooled, image_ids",
  );
  await assertRejects(() => readPictureConditions("nowhere/c.safetensors"), AssetError);
});
