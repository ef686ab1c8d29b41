/**
 * The server for `deno serve` and Deno Deploy.
 *
 *     deno serve --allow-read --allow-env --allow-sys src/edge/deno.ts
 *
 * @module
 */

import { startService } from "./service.ts";

const app = startService();

/** What `deno serve` calls. */
const server: Deno.ServeDefaultExport = { fetch: (request) => app.fetch(request) };

export default server;
