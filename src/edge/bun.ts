/**
 * The server for Bun.
 *
 *     PORT=8000 bun node_modules/@invardiff/edge/src/edge/bun.js
 *
 * In the package for npm, since Bun knows no `npm:` imports.
 *
 * @module
 */

import process from "node:process";
import { startService } from "./service.ts";

/** What Bun serves when this module is the one that it was started with. */
export interface BunServer {
  /** Answers a request. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** From `PORT`; 8000 unless given, 0 takes a free one. */
  readonly port: number;
  /** From `HOST`; the loopback unless given. */
  readonly hostname: string;
  /** Seconds of silence after which Bun would cut a connection; 0 is never: streams may be quiet. */
  readonly idleTimeout: number;
}

const { PORT = "8000", HOST = "127.0.0.1" } = process.env;
const app = startService({ host: HOST });

/** What Bun serves. */
const server: BunServer = {
  fetch: (request) => app.fetch(request),
  port: Number(PORT),
  hostname: HOST,
  idleTimeout: 0,
};

export default server;
