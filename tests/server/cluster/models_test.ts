/** Workers that have different models, and what no worker has. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { post, ToyRenderer } from "../toy_renderer.ts";
import { addJob, ended, eventually, isReady, sharedApp, withServers } from "./shared_server.ts";
import { overStores } from "./stores.ts";

overStores(
  "a worker draws what it has; what nobody has is refused by name, and a model that is away waited for",
  async (kind) => {
    await using store = await kind.start();
    const [apples, pears] = ["apples", "pears"].map((id) => new ToyRenderer({ id }));
    const first = await sharedApp(store.url, [apples!]);
    const second = await sharedApp(store.url, [pears!]);
    const api = await sharedApp(store.url);
    await eventually(async () => {
      if (!await isReady(api)) return false;
      const { data } = await (await api.request("/v1/models")).json();
      return data.length === 2;
    });
    for (const model of ["apples", "pears", "apples"]) {
      assertEquals(
        (await ended(api, await addJob(api, { model, label: 1 })))["state"],
        "completed",
      );
    }
    assertEquals([apples!.batches.length, pears!.batches.length], [2, 1]);
    const unknown = await post(api, "/v1/jobs", { model: "plums", label: 1 });
    const { error } = await unknown.json();
    assertEquals([unknown.status, error.code], [404, "model_not_found"]);
    assertStringIncludes(error.message, "plums");

    await second.drain();
    const waits = await addJob(api, { model: "pears", label: 1 });
    assertEquals(
      (await ended(api, await addJob(api, { model: "apples", label: 1 })))["state"],
      "completed",
    );
    assertEquals((await (await api.request(`/v1/jobs/${waits}`)).json()).state, "queued");
    const third = await sharedApp(store.url, [new ToyRenderer({ id: "pears" })]);
    assertEquals((await ended(api, waits))["state"], "completed");

    await third.drain();
    const other = await addJob(api, { model: "pears", label: 1 });
    const renewed = new ToyRenderer({ id: "pears", fingerprint: "sha256:other" });
    const fourth = await sharedApp(store.url, [renewed]);
    const failed = await ended(api, other);
    assertEquals((failed["error"] as { code: string }).code, "model_differs");
    assertEquals(renewed.batches.length, 0, "never by other weights than those it was taken for");
    for (const app of [first, fourth, api]) await app.drain();
  },
);

overStores(
  "an upload that is too large is refused by the server that takes it, and leaves nothing in the store",
  async (kind) => {
    await withServers(kind, async ({ store, api }) => {
      const send = async (bytes: Uint8Array<ArrayBuffer>): Promise<readonly [number, string]> => {
        const form = new FormData();
        form.append("image", new Blob([bytes]), "a.png");
        form.append("label", "1");
        const response = await api.request("/v1/images/edits", { method: "POST", body: form });
        return [response.status, (await response.json()).error.code];
      };
      assertEquals(await send(new Uint8Array(6000)), [413, "body_too_large"]);
      const huge = new Uint8Array(33); // the head of a PNG that says to be 60000 × 60000
      huge.set([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
      huge.set([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2], 16);
      assertEquals((await send(huge))[0], 400);
      assertEquals(await store.leftovers(), []);
    }, { limits: { upload: { bytes: 5000, seconds: 5 }, uploadPixels: 100 } });
  },
);
