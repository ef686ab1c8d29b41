/** Policies that decide at each step, over HTTP. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openPipeline } from "../../mod.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { createApp } from "../../src/server/app.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { tinyModel } from "./tiny_model.ts";
import { parseEvents, post, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

const PATH = "/v1/images/generations";
const GPU = { name: "webgpu", description: "webgpu, a GPU", reason: "asked for" } as const;

Deno.test("a picture that a policy decided has the bytes of the library's, which name the policy", async () => {
  const model = await tinyModel();
  const renderer = await openLocalRenderer({ model, backend: "wasm" });
  const app = createApp({ renderers: [renderer] });
  await app.loaded;
  const policy = "sencache:threshold=1e9,start=1e9,longest=1,at.0=999,latent.0=1,time.0=0";
  const asked = { label: 1, seed: 4, steps: 5, policy };
  const answer = await (await post(app, PATH, { ...asked, n: 2 })).json();
  assertEquals([answer.plan, answer.policy], [null, { word: policy, reused: [2, 2] }]);
  const files: Uint8Array[] = answer.data.map(({ b64_json }: { b64_json: string }) =>
    Uint8Array.from(atob(b64_json), (letter) => letter.charCodeAt(0))
  );
  await renderer.close();
  const pipeline = await openPipeline({ model, backend: "wasm" });
  const { pictures } = await pipeline.generate({ ...asked, label: 1, count: 2 });
  for (const [i, picture] of pictures.entries()) {
    const own = await picture.png();
    assert(own.length === files[i]!.length && own.every((byte, at) => byte === files[i]![at]));
  }
  assertEquals(JSON.parse(readPngText(files[1]!)["invardiff"]!).policy, policy);
  await pipeline.close();
});

Deno.test("a job that a policy decides tells what each step did for its pictures, and what each reused", async () => {
  const app = await toyApp();
  const body = { prompt: "sneaker", seed: 1, n: 2, steps: 3, policy: "teacache", previews: true };
  const { id, ...queued } = await (await post(app, "/v1/jobs", body)).json();
  assertEquals([queued.steps, queued.kinds], [3, []]);
  const events = parseEvents(await (await app.request(`/v1/jobs/${id}/events`)).text());
  const steps = events.filter(({ event }) => event === "step").map(({ data }) => data);
  assertEquals(steps.map(({ index, steps, kind }) => [index, steps, kind]), [
    [0, 3, "full"],
    [1, 3, "mixed"],
    [2, 3, "reuse"],
  ]);
  const job = await (await app.request(`/v1/jobs/${id}`)).json();
  assertEquals([job.step, job.policy], [3, { word: "teacache", reused: [1, 2] }]);
  const stream = await post(app, PATH, {
    ...{ ...body, previews: undefined },
    ...{ stream: true, partial_images: 2 },
  });
  const told = parseEvents(await stream.text()).map(({ event, data }) => [
    event.split(".")[1],
    data["image_index"],
    data["partial_image_index"],
  ]);
  assertEquals(told, [
    ["partial_image", 0, 0],
    ["partial_image", 1, 0],
    ["partial_image", 0, 1],
    ["partial_image", 1, 1],
    ["completed", 0, undefined],
    ["completed", 1, undefined],
  ]);
});

Deno.test("metrics count what a policy decided by batches, and of modules the mean of their pictures", async () => {
  const app = await toyApp();
  await post(app, PATH, { prompt: "sneaker", seed: 1, n: 2, policy: "teacache" });
  const text = await (await app.request("/metrics")).text();
  for (
    const line of [
      'invardiff_steps_total{kind="full"} 1',
      'invardiff_steps_total{kind="mixed"} 1',
      'invardiff_steps_total{kind="reuse"} 2',
      'invardiff_modules_total{action="run"} 4.5',
      'invardiff_modules_total{action="reused"} 7.5',
    ]
  ) assertStringIncludes(text, `\n${line}\n`);
});

Deno.test("jobs of one policy are drawn together, and each is told of its own pictures", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy]);
  toy.hold();
  const add = async (body: Readonly<Record<string, unknown>>): Promise<string> => {
    const answer = await post(app, "/v1/jobs", { prompt: "sneaker", steps: 3, ...body });
    return (await answer.json()).id;
  };
  await add({});
  await until(() => toy.drawing === 1);
  const policy = "teacache";
  const ids = [
    await add({ policy, seed: 2 }),
    await add({}),
    await add({ policy, seed: 1, n: 2 }),
    await add({ policy: "teacache:threshold=1", seed: 1 }),
  ];
  toy.release();
  const told: unknown[] = [];
  for (const id of ids) {
    const events = parseEvents(await (await app.request(`/v1/jobs/${id}/events`)).text());
    const kinds = events.filter(({ event }) => event === "step").map(({ data }) => data["kind"]);
    const job = await (await app.request(`/v1/jobs/${id}`)).json();
    told.push([kinds.join(" "), job.policy?.reused]);
  }
  assertEquals(told, [
    ["full reuse reuse", [2]],
    ["full full full", undefined],
    ["full mixed reuse", [1, 2]],
    ["full full reuse", [1]],
  ]);
  assertEquals(toy.batches.map(({ pictures, policy }) => [pictures.length, policy]), [
    [1, undefined],
    [3, policy],
    [1, undefined],
    [1, "teacache:threshold=1"],
  ]);
});

Deno.test("a policy that cannot be is refused by name, before anything is drawn", async () => {
  const toy = new ToyRenderer();
  const app = await toyApp([toy, new ToyRenderer({ id: "on-gpu", policies: [], backend: GPU })]);
  const wrong: readonly (readonly [Record<string, unknown>, string, string])[] = [
    [{ policy: "magcache" }, "policy", "policy must be one of first-block, teacache, sencache"],
    [{ policy: "teacache:limit=1" }, "policy", "setting of teacache must be one of"],
    [{ policy: "teacache:threshold=-1" }, "policy", "threshold of teacache must be a number"],
    [{ policy: "teacache:threshold=NaN" }, "policy", "threshold of teacache must be a number"],
    [{ policy: "sencache" }, "policy", "at.0 of sencache must be a number of at least 0"],
    [{ policy: "" }, "policy", "policy"],
    [{ policy: 3 }, "policy", "policy"],
    [{ policy: `x${"y".repeat(9_999)}` }, "policy", "policy must be one of"],
    [{ policy: "y".repeat(10_001) }, "policy", "policy"],
    [
      { policy: "teacache", plan: "toy.fast" },
      "plan",
      "plan must be none beside policy teacache: current value is toy.fast",
    ],
    [
      { policy: "teacache", model: "on-gpu" },
      "policy",
      "policy must be none on webgpu, a GPU, which runs on-gpu: current value is teacache",
    ],
    [
      { policy: "sencache:at.0=1,latent.0=1,time.0=1" }, // of a worker without it
      "policy",
      "policy must be first-block, teacache on toy, 1 thread, which runs toy",
    ],
  ];
  for (const [body, param, message] of wrong) {
    for (const path of [PATH, "/v1/jobs"]) {
      const response = await post(app, path, { prompt: "sneaker", ...body });
      const { error } = await response.json();
      assertEquals([response.status, error.param], [400, param], JSON.stringify(body).slice(0, 99));
      assertStringIncludes(error.message, message);
      assert(error.message.length < 600);
    }
  }
  assertEquals(toy.batches.length, 0);
  for (const plan of ["auto", "none"]) {
    const body = { prompt: "sneaker", policy: "teacache", plan };
    assertEquals((await post(app, PATH, body)).status, 200);
  }
});

Deno.test("models and capabilities say which policies there are, and where", async () => {
  const gpu = new ToyRenderer({ id: "on-gpu", policies: [], backend: GPU });
  const app = await toyApp([gpu, new ToyRenderer()]);
  const { data } = await (await app.request("/v1/models")).json();
  assertEquals(data.map(({ policies }: { policies: unknown }) => policies), [
    [],
    ["first-block", "teacache"],
  ]);
  const { policies } = await (await app.request("/v1/capabilities")).json();
  assertEquals(policies, ["first-block", "teacache"]);
});
