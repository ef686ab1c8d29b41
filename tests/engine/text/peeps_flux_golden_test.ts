/** A trained FLUX pipeline from prompts to pictures, against diffusers' and transformers' numbers. */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { openSafetensors, type Safetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory, type Source } from "../../../src/assets/source.ts";
import type { BackendName } from "../../../src/backend/backend.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import type { EncodedPrompts } from "../../../src/engine/prompts.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import { ModelPrompts } from "../../../src/engine/text/model_prompts.ts";
import { sliceRows } from "../../../src/tensor/rows.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose, relativeError } from "../../conformance/compare.ts";
import { forwardPass } from "../forward_pass.ts";
import { requires } from "../../_shim/requires.ts";

/** The float16 directory; not part of the repository. */
const PEEPS = new URL("../../../../shared/models/peeps-flux/", import.meta.url);
const isHere = await exists(new URL("model_index.json", PEEPS));

/** Shares of the largest number; of pictures, steps of 1/255. A run sums up the errors of its steps. */
interface Allowed {
  readonly text: number;
  readonly forward: number;
  readonly sample: number;
  readonly picture: number;
  /** Pictures that are drawn: backends without a fast processor draw one. */
  readonly rows: number;
}
const ALLOWED: Readonly<Record<BackendName, Allowed>> = {
  wasm: { text: 1e-4, forward: 2e-4, sample: 5e-4, picture: 2, rows: 1 },
  native: { text: 1e-4, forward: 2e-4, sample: 5e-4, picture: 2, rows: 4 },
  webgpu: { text: 1e-3, forward: 1e-3, sample: 1e-2, picture: 4, rows: 1 },
};

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const options = await requires(
    `the trained FLUX on ${backend}`,
    ...(backend === "wasm" ? [] : [backend]),
  );
  const guarded = { ...options, ignore: options.ignore === true || !isHere };
  const allowed = ALLOWED[backend];

  Deno.test(`prompts become transformers' numbers on ${backend}`, guarded, async () => {
    await withGolden(backend, async ({ engine, file, facts }) => {
      await expectIds(engine, file, facts.prompts);
      const { conditions } = await encoded(engine, facts.prompts);
      for (const name of ["text", "pooled"]) {
        const wanted = await file.readFloat32(name);
        assertNear(conditions[name]!, wanted, { tolerance: allowed.text, what: name, backend });
      }
    });
  });

  Deno.test(`a forward pass from prompts is diffusers' on ${backend}`, guarded, async () => {
    await withGolden(backend, async ({ engine, file, facts }) => {
      const times = [...(await file.readFloat32("forward.timestep")).data];
      const { prompts, ...rest } = await given(file, facts, times.length);
      const { conditions } = await encoded(engine, prompts!);
      const output = await forwardPass(engine, { ...rest, conditions }, times);
      const wanted = await file.readFloat32("forward.output");
      assertNear(output, wanted, { tolerance: allowed.forward, what: "forward", backend });
    });
  });

  Deno.test(`28 steps from prompts give diffusers' pictures on ${backend}`, guarded, async () => {
    await withGolden(backend, async ({ engine, file, facts }) => {
      const { rows } = allowed;
      const { latents } = await engine.generate({
        ...await given(file, facts, rows),
        output: "latents",
        steps: facts.steps,
        plan: "none",
      });
      const wanted = sliceRows(await file.readFloat32("sample.full"), 0, rows);
      assertNear(latents, wanted, { tolerance: allowed.sample, what: "latents", backend });
      const pictures = await engine.decode(latents);
      const theirs = sliceRows(await file.readFloat32("image"), 0, rows);
      assertEquals(pictures.dims, theirs.dims);
      const byte = (value: number): number => 127.5 * (Math.max(-1, Math.min(1, value)) + 1);
      const off = pictures.data.reduce(
        (most, value, i) => Math.max(most, Math.abs(byte(value) - byte(theirs.data[i]!))),
        0,
      );
      console.log(`pictures on ${backend}: ${off.toFixed(3)} / 255`);
      assertLessOrEqual(off, allowed.picture);
    });
  });
}

interface Facts {
  readonly prompts: readonly string[];
  readonly steps: number;
  readonly guidance: number;
}

interface Golden {
  readonly engine: Engine;
  readonly file: Safetensors;
  readonly facts: Facts;
}

async function withGolden(
  backend: BackendName,
  use: (golden: Golden) => Promise<void>,
): Promise<void> {
  const source: Source = openDirectory(new URL("golden/", PEEPS));
  const file = await openSafetensors(source, "golden.safetensors");
  const facts = JSON.parse(await Deno.readTextFile(new URL("golden/golden.json", PEEPS)));
  const engine = await openEngine({ backend, precision: "f32", model: PEEPS });
  try {
    await use({ engine, file, facts });
  } finally {
    await engine.close();
    await source.close();
  }
}

async function expectIds(
  { model }: Engine,
  file: Safetensors,
  prompts: readonly string[],
): Promise<void> {
  const parts = await model.text!.open();
  for (const [i, name] of ["clip.ids", "t5.ids"].entries()) {
    const ids = prompts.flatMap((prompt) => [...parts[i]!.prompts.tokenize(prompt).ids]);
    assertEquals(ids, await file.readIntegers(name), name);
  }
}

async function encoded(
  { model: { id, text }, backend }: Engine,
  prompts: readonly string[],
): Promise<EncodedPrompts> {
  const encoder = new ModelPrompts({ id, text: text! }, backend, undefined);
  try {
    return await encoder.encode(prompts.map((prompt) => ({ prompt })), {});
  } finally {
    await encoder.dispose();
  }
}

/** The first prompts, with the golden's noise; the picture's size is the model's own. */
async function given(
  file: Safetensors,
  { prompts, guidance }: Facts,
  rows: number,
): Promise<GenerateOptions & { readonly guidance: number }> {
  const noise = sliceRows(await file.readFloat32("noise"), 0, rows);
  return { prompts: prompts.slice(0, rows), noise, guidance, grid: [16, 16] };
}

function assertNear(
  actual: Tensor,
  wanted: Tensor,
  { backend, ...how }: {
    readonly tolerance: number;
    readonly what: string;
    readonly backend: BackendName;
  },
): void {
  const error = relativeError(actual.data, wanted.data);
  console.log(`${how.what} on ${backend}: ${error.toExponential(1)} × max|reference|`);
  assert(wanted.data.some((value) => value !== 0));
  assertClose(actual, wanted, how);
}

async function exists(path: URL): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
