/** The example of a Cloudflare worker. */
import { assertEquals } from "@std/assert";
import { requires } from "../_shim/requires.ts";
import { EMBEDDED_ID } from "../../src/engine/embedded_model.ts";
import { SERVER_NEEDS, withWorkerd } from "../edge/servers.ts";

Deno.test({
  ...await requires("the example of a worker", ...SERVER_NEEDS.workerd),
  name: "the example's worker draws by its own route, and has the server beside it",
  fn: async () => {
    await withWorkerd(async ({ base }) => {
      const picture = await fetch(new URL("/avatar.png?seed=7&prompt=a+person+with+a+hat", base));
      assertEquals([picture.status, picture.headers.get("content-type")], [200, "image/png"]);
      const png = await picture.bytes();
      assertEquals(new TextDecoder("latin1").decode(png.subarray(1, 4)), "PNG");
      const refused = await fetch(new URL("/avatar.png?seed=-7", base));
      assertEquals(refused.status, 400);
      await refused.body?.cancel();
      const models = await (await fetch(new URL("/v1/models", base))).json();
      assertEquals(models.data[0].id, EMBEDDED_ID);
    }, { entry: "examples/cloudflare/worker.js" });
  },
});
