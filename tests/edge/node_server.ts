/** The service in Node, for the suite: Node's own HTTP server in front of the app. */
import { serve } from "@hono/node-server";
import { startService } from "../../src/edge/service.ts";

const { fetch } = startService();
serve({ fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
  console.log(`listening on http://127.0.0.1:${port}/`);
});
