import { assert, assertEquals, assertRejects } from "@std/assert";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { type ModelPart, openModelDirectory } from "../../../src/assets/model_dir.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import type { Backend, BackendName } from "../../../src/backend/backend.ts";
import { openBackend } from "../../../src/backend/select.ts";
import { EncoderGraphs } from "../../../src/engine/text/encoder_graphs.ts";
import { choosePrecision, roundLayers } from "../../../src/engine/precision/choose.ts";
import type { RoundedLayers } from "../../../src/engine/precision/rounded_layers.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { TextOutput, TextTokens } from "../../../src/text/network.ts";
import { type OpenedEncoder, openEncoder } from "../../../src/text/open_encoder.ts";
import { assertClose, relativeError } from "../../conformance/compare.ts";
import { requires } from "../../_shim/requires.ts";

const GOLDEN = new URL("../../golden/text/", import.meta.url);
const KINDS = ["clip-l", "clip-g", "t5-v1.1", "t5-relu"] as const;
const OUTPUTS: readonly TextOutput[] = ["last", "penultimate", "pooled"];
/** As the goldens of transformers; a GPU rounds what it adds up in another order. */
const ALLOWED: Readonly<Record<BackendName, number>> = { wasm: 1e-4, native: 1e-4, webgpu: 1e-3 };

for (const name of ["wasm", "native", "webgpu"] as const) {
  const options = await requires(`text encoders on ${name}`, ...(name === "wasm" ? [] : [name]));
  Deno.test(`text encoders of every kind are transformers' on ${name}`, options, async () => {
    const { backend } = await openBackend({ backend: name });
    for (const kind of KINDS) {
      const { encoder, texts, wanted } = await golden(kind);
      const graphs = new EncoderGraphs(backend, encoder);
      for (const suffix of ["", ".masked"]) {
        const given = suffix === "" ? texts.map(({ ids }) => ({ ids })) : texts;
        const found = await graphs.encode(given, { outputs: OUTPUTS, sessions: "freed" });
        for (const output of OUTPUTS) {
          const all = await wanted(`${output}${suffix}`);
          if (all === undefined) continue;
          const rows = { dims: all.dims, data: joined(found.map((one) => one[output]!)) };
          const what = `${output}${suffix} of ${kind}`;
          console.log(`${what} on ${name}: ${relativeError(rows.data, all.data).toExponential(1)}`);
          assertClose(rows, all, { tolerance: ALLOWED[name], what });
        }
      }
      assertEquals(backend.live, { values: 0, sessions: 0 });
    }
    await backend.dispose();
  });
}

Deno.test("texts are looked up together: each table is read once for all of them", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  for (const [kind, tables] of [["t5-v1.1", 1], ["clip-l", 2]] as const) {
    const { encoder, texts } = await golden(kind);
    const read: string[] = [];
    const sample: OpenedEncoder["weights"]["sample"] = (name, indices) => {
      read.push(name);
      return encoder.weights.sample(name, indices);
    };
    const graphs = new EncoderGraphs(backend, {
      ...encoder,
      weights: { ...encoder.weights, sample },
    });
    assert(texts.length > 1);
    await graphs.encode(texts, { outputs: ["last"], sessions: "freed" });
    assertEquals([read.length, new Set(read).size], [tables, tables]);
  }
  await backend.dispose();
});

Deno.test("a text's numbers are the same alone, beside others, and with sessions that are kept", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const { encoder, texts } = await golden("t5-v1.1");
  const graphs = new EncoderGraphs(backend, encoder);
  const together = await graphs.encode(texts, { outputs: ["last"], sessions: "freed" });
  assertEquals(backend.live.sessions, 0);
  for (const [i, text] of texts.entries()) {
    const [alone] = await graphs.encode([text], { outputs: ["last"], sessions: "kept" });
    assertEquals(alone!.last, together[i]!.last);
  }
  assertEquals(backend.live, { values: 0, sessions: encoder.network.blocks.length + 1 });
  await graphs.dispose();
  assertEquals(backend.live.sessions, 0);
  await backend.dispose();
});

Deno.test("the last block does not run where nothing needs it", async () => {
  const { backend, ran } = counting((await openBackend({ backend: "wasm" })).backend);
  const { encoder, texts } = await golden("clip-g");
  const graphs = new EncoderGraphs(backend, encoder);
  await graphs.encode(texts.slice(0, 1), { outputs: ["penultimate"], sessions: "freed" });
  assertEquals(ran, ["CLIP block 0", "CLIP block 1"]);
  await backend.dispose();
});

Deno.test("block by block, there is one session at a time", async () => {
  const { backend, most } = counting((await openBackend({ backend: "wasm" })).backend);
  const { encoder, texts } = await golden("clip-l");
  const graphs = new EncoderGraphs(backend, encoder);
  await graphs.encode(texts, { outputs: OUTPUTS, sessions: "freed" });
  assertEquals(most(), 1);
  await backend.dispose();
});

Deno.test("nothing is left when encoding is stopped or fails at any graph", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const { encoder, texts } = await golden("clip-g");
  const graphs = 3 + 2; // blocks, norm, projection
  for (const sessions of ["freed", "kept"] as const) {
    for (let at = 0; at < graphs; at++) {
      for (const how of ["stops", "fails"] as const) {
        const controller = new AbortController();
        const { backend: failing } = counting(backend, (run) => {
          if (run < at) return;
          if (how === "fails") throw new Error("out of memory");
          controller.abort();
        });
        const encoding = new EncoderGraphs(failing, encoder);
        const { signal } = controller;
        await assertRejects(() => encoding.encode(texts, { outputs: OUTPUTS, sessions, signal }));
        assertEquals(backend.live.values, 0);
        await encoding.dispose();
        assertEquals(backend.live, { values: 0, sessions: 0 });
      }
    }
  }
  await backend.dispose();
});

Deno.test("int8 and int4 weights change an encoder's results a little", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  for (const kind of ["clip-l", "clip-g"] as const) {
    const { encoder, texts, wanted } = await golden(kind);
    const plain = texts.map(({ ids }) => ({ ids }));
    for (const [precision, most] of [["int8", 0.05], ["int4", 0.5]] as const) {
      const graphs = new EncoderGraphs(
        backend,
        encoder,
        await roundedTo(precision, encoder, backend),
      );
      const found = await graphs.encode(plain, { outputs: ["last"], sessions: "freed" });
      const all = joined(found.map(({ last }) => last!));
      const error = relativeError(all, (await wanted("last"))!.data);
      console.log(`${kind} in ${precision}: ${error.toExponential(1)}`);
      assert(error > 1e-4 && error < most, `${kind} in ${precision}: ${error}`);
    }
  }
  await backend.dispose();
});

Deno.test("a layer of uneven inputs keeps floats where others compute in eight bits", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const { encoder, texts } = await golden("t5-v1.1");
  for (const precision of ["int8", "int4"] as const) {
    const rounded = await roundedTo(precision, encoder, backend);
    const graphs = new EncoderGraphs(backend, encoder, rounded);
    await graphs.encode(texts, { outputs: ["last"], sessions: "freed" });
    const names = rounded!.layers.map(({ name }) => name);
    assertEquals(names.some((name) => name.endsWith("wo.weight")), precision === "int4");
    assert(names.some((name) => name.endsWith("wi_0.weight")));
    assertEquals(rounded!.held, []); // nothing was rounded that no graph reads
  }
  await backend.dispose();
});

async function roundedTo(
  precision: "int8" | "int4",
  { weights }: OpenedEncoder,
  backend: Backend,
): Promise<RoundedLayers | undefined> {
  const subject = { id: "encoder", weights };
  return await roundLayers(subject, backend, choosePrecision(subject, { wanted: precision }));
}

Deno.test("ids that are none of the vocabulary and texts that are too long are refused", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const { encoder } = await golden("clip-l");
  const graphs = new EncoderGraphs(backend, encoder);
  const encode = (ids: readonly number[]): Promise<unknown> =>
    graphs.encode([{ ids }], { outputs: ["last"], sessions: "freed" });
  for (const id of [-1, 99, 1.5, NaN]) {
    await assertRejects(() => encode([97, id]), RangeError, "token ids must be in 0 … 98");
  }
  await assertRejects(() => encode(Array(21).fill(3)), RangeError, "at most 20 tokens");
  await backend.dispose();
});

interface Golden {
  readonly encoder: OpenedEncoder;
  readonly texts: readonly TextTokens[];
  wanted(name: string): Promise<Tensor | undefined>;
}

async function golden(kind: typeof KINDS[number]): Promise<Golden> {
  const folder = openDirectory(new URL(`${kind}/`, GOLDEN));
  const file = await openSafetensors(folder, "golden.safetensors");
  const rows = async (name: string): Promise<number[][]> => {
    const all = await file.readIntegers(name);
    return [0, 1, 2].map((row) => all.slice(row * 20, (row + 1) * 20));
  };
  const masks = await rows("mask");
  return {
    encoder: openEncoder(await part(kind), kind),
    texts: (await rows("ids")).map((ids, i) => ({ ids, mask: masks[i] })),
    wanted: async (name) => file.tensors.has(name) ? await file.readFloat32(name) : undefined,
  };
}

/** A folder of weights opens as a model's does. */
async function part(kind: string): Promise<ModelPart> {
  return await openModelDirectory(new URL(`${kind}/`, GOLDEN), { file: FILES[kind] });
}

const FILES: Readonly<Record<string, string>> = {
  "clip-g": "model.safetensors.index.json",
  "clip-l": "model.safetensors",
  "t5-v1.1": "model.safetensors",
  "t5-relu": "model.safetensors",
};

function joined(tensors: readonly Tensor[]): Float32Array {
  return Float32Array.from(tensors.flatMap(({ data }) => [...data]));
}

/** A backend that says what ran and how many sessions there were at once. */
function counting(inner: Backend, onRun: (run: number) => void = () => {}): {
  readonly backend: Backend;
  readonly ran: readonly string[];
  most(): number;
} {
  const ran: string[] = [];
  let [most, runs] = [0, 0];
  const backend: Backend = new Proxy(inner, {
    get(target, key): unknown {
      if (key !== "load") {
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return async (...given: Parameters<Backend["load"]>) => {
        const session = await target.load(...given);
        most = Math.max(most, target.live.sessions);
        return {
          name: session.name,
          run: (...args: Parameters<typeof session.run>) => {
            ran.push(session.name);
            onRun(runs++);
            return session.run(...args);
          },
          dispose: () => session.dispose(),
        };
      };
    },
  });
  return { backend, ran, most: () => most };
}
