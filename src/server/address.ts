/**
 * An address that an app answers at, through `node:http`, which Deno and Bun have too.
 *
 * `Deno.serve` (2.9) watches a connection only until the request's body was read, unless the body came in one
 * piece with its head. Most clients send the two apart, so a client that leaves would not be noticed and its
 * pictures would be generated for nobody. `node:http` watches to the end.
 */

import { createServer } from "node:http";
import { getRequestListener } from "npm:@hono/node-server@2.1.9";

/** An address that is ours. */
export interface Address {
  /** For people and clients, with a slash at the end. */
  readonly url: string;
  /** Begins to answer; requests that came before it wait. */
  answer(fetch: (request: Request) => Response | Promise<Response>): void;
  /** Takes nothing new; resolves when what was begun is sent, at the latest after 5 s. */
  close(): Promise<void>;
}

const CUT_SECONDS = 5; // for clients that do not read their answers

/**
 * Takes an address.
 *
 * @param host Name or address of an interface of this machine; IPv6 with brackets or without.
 * @param port 0 takes a free one.
 * @throws {Error} When it cannot be had; the message names it.
 */
export async function openAddress(given: string, port: number): Promise<Address> {
  const server = createServer();
  const host = given.replace(/^\[(.*)\]$/, "$1");
  const name = host.includes(":") ? `[${host}]` : host;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const why = REASONS[String(Reflect.get(cause, "code"))] ?? cause.message;
      reject(new Error(`Cannot listen on ${name}:${port}: ${why}.`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  return {
    url: `http://${name}:${typeof bound === "object" && bound !== null ? bound.port : port}/`,
    answer(fetch): void {
      server.on("request", getRequestListener(fetch, { overrideGlobalObjects: false }));
    },
    async close(): Promise<void> {
      const cut = setTimeout(() => server.closeAllConnections(), CUT_SECONDS * 1000);
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeIdleConnections();
      });
      clearTimeout(cut);
    },
  };
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "something listens there already",
  EADDRNOTAVAIL: "this machine does not have that address",
  EINVAL: "this machine does not have that address", // as Deno says it
  EACCES: "this user may not listen there",
  ENOTFOUND: "there is no host of that name",
};
