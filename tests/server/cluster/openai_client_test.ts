import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import OpenAI, { APIError, toFile } from "openai";
import { decode } from "fast-png";
import type { App } from "../../../src/server/app.ts";
import type { Picture } from "../../../src/image/picture.ts";
import { encodePng } from "../../../src/image/png.ts";
import { ToyRenderer } from "../toy_renderer.ts";
import { overStores } from "./stores.ts";
import { eventually, isReady, sharedApp } from "./shared_server.ts";

const KEY = "a-key-of-sixteen-letters";

overStores(
  "OpenAI's own client works unchanged, whichever of two servers answers",
  async (kind, t) => {
    await using store = await kind.start();
    const toy = new ToyRenderer();
    const options = { apiKeys: [KEY] };
    const worker = await sharedApp(store.url, [toy], options);
    const servers = [
      await sharedApp(store.url, [], options),
      await sharedApp(store.url, [], options),
    ];
    await eventually(async () => (await Promise.all(servers.map(isReady))).every((ready) => ready));
    const proxy = inTurn(servers);
    const baseURL = `http://127.0.0.1:${proxy.addr.port}/v1`;
    const client = new OpenAI({ baseURL, apiKey: KEY, maxRetries: 0 });

    await t.step("it generates, as base64 and as URLs", async () => {
      const made = await client.images.generate({ model: "toy", prompt: "sneaker", n: 2 });
      assertEquals(made.data!.map(({ b64_json }) => decode(bytesOf(b64_json!)).height), [4, 4]);
      const asked = { model: "toy", prompt: "sneaker", response_format: "url" } as const;
      const { data } = await client.images.generate(asked);
      for (let server = 0; server < servers.length; server++) { // one each
        const answer = await fetch(data![0]!.url!);
        assertEquals(decode(await answer.bytes()).height, 4);
      }
    });

    await t.step("it edits", async () => {
      const image = await toFile(await encodePng(PICTURE), "a.png", { type: "image/png" });
      const mask = await toFile(await encodePng(PICTURE), "m.png", { type: "image/png" });
      const { data } = await client.images.edit({ model: "toy", prompt: "sneaker", image, mask });
      assertEquals(decode(bytesOf(data![0]!.b64_json!)).height, 4);
      assertEquals(toy.batches.at(-1)!.edit?.mask?.height, 4);
    });

    await t.step("it streams", async () => {
      const asked = { model: "toy", prompt: "sneaker", stream: true, partial_images: 1 } as const;
      const types: string[] = [];
      for await (const event of await client.images.generate(asked)) {
        assertEquals(decode(bytesOf(event.b64_json)).height, 4);
        types.push(event.type);
      }
      assertEquals(types, ["image_generation.partial_image", "image_generation.completed"]);
    });

    await t.step("it lists models, those of the workers", async () => {
      const { data } = await client.models.list();
      assertEquals(data.map(({ id }) => id), ["toy"]);
    });

    await t.step("it tells what is wrong by the classes of its errors", async () => {
      const refused = async (
        asked: OpenAI.ImageGenerateParams,
        by = client,
      ): Promise<unknown[]> => {
        const error = await assertRejects(
          async () =>
            void await by.images.generate(asked as OpenAI.ImageGenerateParamsNonStreaming),
          APIError,
        );
        assertMatch(error.message, /^\d{3} \S/);
        return [error.constructor, error.status, error.code, error.param];
      };
      assertEquals(await refused({ model: "other", prompt: "sneaker" }), [
        ...[OpenAI.NotFoundError, 404, "model_not_found", "model"],
      ]);
      assertEquals(await refused({ model: "toy", prompt: "sneaker", n: 99 }), [
        ...[OpenAI.BadRequestError, 400, "invalid_value", "n"],
      ]);
      const stranger = client.withOptions({ apiKey: "another-key-of-letters" });
      assertEquals(await refused({ model: "toy", prompt: "sneaker" }, stranger), [
        ...[OpenAI.AuthenticationError, 401, "invalid_api_key", null],
      ]);
    });

    await proxy.shutdown();
    for (const app of [...servers, worker]) await app.drain();
  },
);

const PICTURE: Picture = { width: 6, height: 4, channels: 4, pixels: new Uint8Array(6 * 4 * 4) };

/** A proxy that gives each request to the next server. */
function inTurn(apps: readonly App[]): Deno.HttpServer<Deno.NetAddr> {
  let turn = 0;
  return Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => apps[turn++ % apps.length]!.fetch(request),
  );
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
