/** `fetch` and what follows it, in processes of their own, against a hub on the loopback. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  COMMIT,
  type FakeFile,
  type FakeHub,
  fileOfBytes,
  startFakeHub,
} from "../assets/hub/fake_hub.ts";
import { NET } from "../assets/hub/hub_fixture.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { FP16_SHARDS, inShards, pipelineFiles, TORCH_SHARDS } from "../engine/pipeline_files.ts";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { namesIn, withFolder } from "./captured_run.ts";
import { LOCK } from "../_shim/watched.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const DIT_A = new URL("../golden/dit-a/", import.meta.url);
const FILES = Object.fromEntries(
  ["config.json", "weights.safetensors"].map((name) => {
    const bytes = Deno.readFileSync(new URL(name, DIT_A));
    return [name, fileOfBytes(bytes, name.endsWith(".json") ? "small" : "large")];
  }),
);

interface Shared {
  readonly hub: FakeHub;
  readonly folder: string;
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function withHub(
  use: (shared: Shared) => Promise<void>,
  files: Readonly<Record<string, FakeFile>> = { ...FILES, "README.md": FILES["config.json"]! },
): Promise<void> {
  await using hub = startFakeHub({ files });
  await withFolder((folder) => use({ hub, folder }));
}

/** Files as a hub has them: JSON as it is, the others elsewhere. */
function onHub(files: Iterable<readonly [string, Uint8Array]>): Record<string, FakeFile> {
  const entries = [...files].map(([path, bytes]) =>
    [path, fileOfBytes(bytes.slice(), path.endsWith(".json") ? "small" : "large")] as const
  );
  return Object.fromEntries(entries);
}

interface RunOptions {
  readonly write?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

function command(
  { hub, folder }: Shared,
  args: readonly string[],
  { write = true, env = {} }: RunOptions = {},
): Deno.Command {
  const allowed = ["--allow-read", "--allow-env", "--allow-sys", "--allow-net=127.0.0.1"];
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      LOCK,
      "--no-prompt",
      ...allowed,
      ...(write ? ["--allow-write"] : []),
      MAIN,
      ...args,
    ],
    env: {
      NO_COLOR: "1",
      HF_ENDPOINT: hub.endpoint.origin,
      INVARDIFF_CACHE: `${folder}/cache`,
      ...env,
    },
    stdout: "piped",
    stderr: "piped",
  });
}

async function namesOf(folder: string): Promise<readonly string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // not made yet
    throw error;
  }
}

async function run(
  shared: Shared,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const { code, stdout, stderr } = await command(shared, args, options).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

Deno.test(
  "fetch brings a model into the cache; doctor and plan then need no network",
  NET,
  async () => {
    await withHub(async (shared) => {
      const { hub, folder } = shared;
      const fetched = await run(shared, ["fetch", "hf://owner/name"]);
      assertEquals(fetched.code, 0, fetched.stderr);
      assertStringIncludes(fetched.stdout, `hf://owner/name@${COMMIT}: 2 files, 302.9 kB\n`);
      assertStringIncludes(fetched.stdout, `in ${folder}/cache after 0.`);
      assertEquals(namesIn(`${folder}/cache/blobs`).length, 2);
      hub.requests.length = 0;
      const offline = { write: false, env: { HF_HUB_OFFLINE: "1" } };
      const doctor = await run(shared, ["doctor", "--model", "hf://owner/name"], offline);
      assertEquals(doctor.code, 0, doctor.stderr);
      assertStringIncludes(doctor.stdout, "model       name: ");
      assertEquals(hub.requests, []);
    });
  },
);

Deno.test(
  "fetch brings what is below a URL, which doctor then needs no network for",
  NET,
  async () => {
    await withHub(async (shared) => {
      const { hub, folder } = shared;
      const url = `${hub.endpoint}owner/name/resolve/${COMMIT}`;
      const fetched = await run(shared, ["fetch", url]);
      assertEquals(fetched.code, 0, fetched.stderr);
      assertStringIncludes(fetched.stdout, `cached+${url}: 2 files, 302.9 kB\n`);
      assertEquals(namesIn(`${folder}/cache/blobs`).length, 2);
      const named = await run(shared, ["fetch", `cached+${url}/weights.safetensors`, "--dry-run"]);
      assertStringIncludes(
        named.stdout,
        "    0.1 kB  config.json\n  302.8 kB  weights.safetensors\n",
      );
      const json = await run(shared, ["fetch", `cached+${url}`, "--dry-run", "--json"]);
      const { model, files, bytes } = JSON.parse(json.stdout);
      assertEquals(model, `cached+${url}`);
      assertEquals(
        files.map(({ path }: { path: string }) => path).sort(),
        ["config.json", "weights.safetensors"],
      );
      assert(bytes > 302_000);
      hub.requests.length = 0;
      const offline = { write: false, env: { INVARDIFF_OFFLINE: "1" } };
      const doctor = await run(shared, ["doctor", "--model", `cached+${url}`], offline);
      assertEquals(doctor.code, 0, doctor.stderr);
      assertEquals(hub.requests, []);
    });
  },
);

Deno.test("generate draws from a hub what it draws from a folder", NET, async () => {
  await withHub(async (shared) => {
    const { folder } = shared;
    const options = ["--backend", "wasm", "--steps", "2", "--label", "1", "--plan", "none"];
    const drawn: Uint8Array[] = [];
    for (const model of [DIT_A.pathname, "hf://owner/name@main/weights.safetensors"]) {
      const file = `${folder}/${drawn.length}.safetensors`;
      const args = ["generate", "--model", model, "--latents", file, ...options];
      const { code, stderr } = await run(shared, args);
      assertEquals(code, 0, stderr);
      drawn.push(await Deno.readFile(file));
    }
    assertEquals(drawn[0], drawn[1]);
  });
});

Deno.test("fetch --dry-run says what it would bring, and brings nothing", NET, async () => {
  await withHub(async (shared) => {
    const { code, stdout } = await run(shared, ["fetch", "hf://owner/name", "--dry-run"]);
    assertEquals(code, 0);
    assertEquals(stdout.split("\n").slice(0, 2), [
      "    0.1 kB  config.json",
      "  302.8 kB  weights.safetensors",
    ]);
    const asked = shared.hub.requests.map(({ path }) => path).filter((p) => !p.startsWith("/api/"));
    assertEquals(asked, [`/owner/name/resolve/${COMMIT}/config.json`]); // it may name other files
  });
});

Deno.test("fetch that is interrupted exits with 130, and the next one goes on", NET, async () => {
  await withHub(async (shared) => {
    const { hub, folder } = shared;
    hub.troubles.push({ kind: "none" }, { kind: "silence", after: 200_000 }); // of config and weights
    const child = command(shared, ["fetch", "hf://owner/name"]).spawn();
    // The weights are small: nothing is shown of them. Their partial file tells when they have come.
    for (let part = 0; part < 1;) {
      const left = await namesOf(`${folder}/cache/partial`);
      part = left.filter((name) => name.endsWith(".part")).length;
      if (hub.requests.at(-1)?.host !== "cdn") part = 0;
    }
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    assertEquals(code, 130);
    assertStringIncludes(new TextDecoder().decode(stderr), "what was downloaded is kept");
    assertEquals(namesIn(`${folder}/cache/partial`).length, 1); // and no lock
    assertEquals((await run(shared, ["fetch", "hf://owner/name"])).code, 0);
    assertMatch(hub.requests.at(-1)?.range ?? "", /^bytes=\d+-302759$/);
  });
});

Deno.test("fetch refuses in one line, with an exit code", NET, async () => {
  await withHub(async (shared) => {
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [[], 2, "LOCATION must be given (LOCATION: hf://OWNER/NAME"],
      [["hf://a/b", "hf://a/c"], 2, "one LOCATION (--help lists them): current value is hf://a/c"],
      [["hf://owner"], 3, "its name must be"],
      [["/tmp"], 3, "its location must begin with hf://"],
      [["owner/name"], 3, "as in hf://owner/name"],
      [["hf://owner/other"], 3, "it must exist: current value is 404"],
      [["hf://owner/name/folder"], 3, "one file of weights (.safetensors, .sft, .pt"],
      [["hf://owner/name", "--frobnicate"], 2, "--frobnicate"],
    ];
    for (const [args, code, says] of cases) {
      const outcome = await run(shared, ["fetch", ...args]);
      assertEquals(outcome.code, code, outcome.stderr);
      assertStringIncludes(outcome.stderr, says);
    }
    const denied = await run(shared, ["fetch", "hf://owner/name"], { write: false });
    assertEquals(denied.code, 3);
    assertStringIncludes(denied.stderr, "error: Cannot write ");
    assertStringIncludes(denied.stderr, "(Deno: --allow-write)");
  });
});

Deno.test(
  "a pipeline directory on a hub is fetched without its text encoders, and draws",
  NET,
  async () => {
    const encoder = ["text_encoder/model.safetensors", new Uint8Array(64)] as const;
    await withHub(async (shared) => {
      const { hub, folder } = shared;
      const fetched = await run(shared, ["fetch", "hf://owner/name"]);
      assertEquals(fetched.code, 0, fetched.stderr);
      assert(!hub.requests.some(({ path }) => path.includes("text_encoder/model")));
      const offline = { env: { INVARDIFF_OFFLINE: "1" } };
      const words = ["--label", "class 3", "--steps", "2", "--backend", "wasm", "--threads", "1"];
      const drawn = await run(
        shared,
        ["generate", "--model", "hf://owner/name", ...words, "--out", `${folder}/a.png`],
        offline,
      );
      assertEquals(drawn.code, 0, drawn.stderr);
      assertEquals((await namesIn(folder)).includes("a.png"), true);
    }, onHub([...await pipelineFiles(), encoder]));
  },
);

for (const layout of [FP16_SHARDS, TORCH_SHARDS]) {
  Deno.test(`what fetch brings opens, with weights in ${layout.index}`, NET, async () => {
    await withHub(async (shared) => {
      const fetched = await run(shared, ["fetch", "hf://owner/name"]);
      assertEquals(fetched.code, 0, fetched.stderr);
      shared.hub.requests.length = 0;
      const offline = { env: { INVARDIFF_OFFLINE: "1" } };
      const doctor = await run(shared, ["doctor", "--model", "hf://owner/name"], offline);
      assertEquals([doctor.code, shared.hub.requests], [0, []], doctor.stderr);
    }, onHub(await inShards(await pipelineFiles(), layout)));
  });
}

Deno.test(
  "fetch refuses by name what is not supported, before it asks for weights",
  NET,
  async () => {
    const index = { _class_name: "PixArtAlphaPipeline", transformer: ["d", "Transformer2DModel"] };
    const unet = { _class_name: "StableDiffusionXLPipeline", unet: ["d", "UNet2DConditionModel"] };
    const tensors = {
      "joint_blocks.0.x_block.attn.qkv.weight": { dims: [2], data: new Float32Array(2) },
    };
    const large = new Uint8Array(2_000_000);
    const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    const models: Readonly<Record<string, ReadonlyMap<string, Uint8Array>>> = {
      "PixArt (class PixArtAlphaPipeline)": new Map([
        ["model_index.json", json(index)],
        ["transformer/diffusion_pytorch_model.safetensors", large],
      ]),
      "Stable Diffusion XL (class StableDiffusionXLPipeline)": new Map([
        ["model_index.json", json(unet)],
        ["unet/diffusion_pytorch_model.fp16.safetensors", large],
      ]),
      "FLUX.2 (class Flux2Transformer2DModel)": (await pipelineFiles())
        .set("transformer/config.json", json({ _class_name: "Flux2Transformer2DModel" })),
      "Stable Diffusion 3, as its tensors are called,": new Map([
        ["sd3.safetensors", joinBytes([...encodeSafetensors(new Map(Object.entries(tensors)))])],
      ]),
    };
    for (const [what, files] of Object.entries(models)) {
      await withHub(async (shared) => {
        const { code, stderr } = await run(shared, ["fetch", "hf://owner/name"]);
        assertEquals(code, 3);
        assertMatch(stderr, /Cannot open (transformer in )?hf:\/\/owner\/name: /);
        assertStringIncludes(stderr, `${what} is not supported; supported are DiT (`);
        const asked = shared.hub.requests.filter(({ path, range }) =>
          path.includes("/resolve/") && !path.endsWith(".json") &&
            !path.endsWith("sd3.safetensors") ||
          range === null && path.endsWith(".safetensors")
        );
        assertEquals(asked, []);
      }, onHub(files));
    }
  },
);
