/**
 * Paths as clients write them, the methods that a path has, and answers to HEAD.
 */

import type { Hono, MiddlewareHandler } from "npm:hono@4.13.19";
import { getPath } from "npm:hono@4.13.19/utils/url";

/** The path of a request as routes are written: slashes that are doubled or at the end do not count. */
export function routePath(request: Request): string {
  return getPath(request).replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");
}

/** Methods of a path, for the header Allow; empty when there is no such path. */
export function allowedMethods({ routes }: Hono, path: string): readonly string[] {
  const methods = routes.filter(({ method, path: pattern }) =>
    method !== "ALL" && expressionOf(pattern).test(path)
  ).map(({ method }) => method);
  const all = methods.includes("GET") ? ["GET", "HEAD", ...methods] : methods;
  return [...new Set(all)];
}

/** `/v1/:name` and `/v1/:name{\w+}` each have one part for the parameter; `*` at the end has any number. */
function expressionOf(pattern: string): RegExp {
  const source = pattern.replace(/:\w+(?:\{(.+?)\})?/g, (_, parts = "[^/]+") => `(?:${parts})`);
  return new RegExp(`^${source.replace(/\*$/, ".*")}$`);
}

/** Gives answers to HEAD the length that those to GET have; of an endless stream none is known. */
export function sizeHead(): MiddlewareHandler {
  return async (context, next) => {
    await next();
    const { res } = context;
    if (context.req.method !== "HEAD" || res.body === null || res.headers.has("content-length")) {
      return;
    }
    if (res.headers.get("content-type")?.startsWith("text/event-stream")) {
      return await res.body.cancel();
    }
    const { byteLength } = await res.arrayBuffer();
    context.res = new Response(null, res);
    context.header("content-length", `${byteLength}`);
  };
}
