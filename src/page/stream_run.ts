/**
 * A picture made in one streamed answer, with three previews: by a server without jobs, such as one on an edge, or
 * from another picture.
 */

import { encodePng } from "../image/png.ts";
import { ApiError } from "./api.ts";
import { asTransparency } from "./mask.ts";
import { patiently } from "./patiently.ts";
import type { Runner, RunRequest } from "./run.ts";
import { askedOf, pngOf, type ServerContext } from "./server_run.ts";
import { readEvents } from "./sse.ts";

/** As many as the server gives. */
const PREVIEWS = 3;

/** Makes a runner that reads one streamed answer. Leaving it cancels the request; time is taken here. */
export function streamRunner({ api, backend, decode }: ServerContext): Runner {
  return async (request, { onEvent, signal }) => {
    const began = performance.now();
    const { path, ...sent } = await postOf(request);
    const response = await patiently(
      () => api.request(path, { method: "POST", ...sent, signal }),
      { onEvent, signal },
    );
    onEvent({ kind: "drawing" });
    for await (const { event, data } of readEvents(response.body!)) { // a stream has one
      const { b64_json, error }: StreamData = JSON.parse(data);
      if (error !== undefined) throw new ApiError(error.message);
      if (b64_json === undefined) continue;
      const png = pngOf(b64_json);
      const pixels = await decode(png);
      if (!event.endsWith(".completed")) onEvent({ kind: "preview", pixels });
      else {
        const seconds = (performance.now() - began) / 1000;
        const notices = ["Timed by this page, from request to picture."];
        return { pixels, png, seconds, backend, notices };
      }
    }
    throw new ApiError("The answer ended without a picture.");
  };
}

/** The request: of an edit a form, else JSON. */
async function postOf(
  request: RunRequest,
): Promise<{ readonly path: string } & Pick<RequestInit, "headers" | "body">> {
  const { edit } = request;
  const asked = { ...askedOf(request), stream: true, partial_images: PREVIEWS };
  if (edit === undefined) {
    const headers = { "content-type": "application/json" };
    return { path: "/v1/images/generations", headers, body: JSON.stringify(asked) };
  }
  const body = new FormData();
  for (const [name, value] of Object.entries({ ...asked, strength: edit.strength })) {
    if (value !== undefined) body.append(name, `${value}`);
  }
  body.append("image", edit.image, "image");
  if (edit.mask !== undefined) {
    const file = await encodePng(asTransparency(edit.mask));
    body.append("mask", new Blob([file], { type: "image/png" }), "mask.png");
  }
  return { path: "/v1/images/edits", body };
}

interface StreamData {
  readonly b64_json?: string;
  readonly error?: { readonly message: string };
}
