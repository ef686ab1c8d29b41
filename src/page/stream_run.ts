/**
 * A picture made by a server without jobs, such as one on an edge: one streamed answer, with three previews.
 */

import { ApiError } from "./api.ts";
import type { Runner } from "./run.ts";
import { pngOf, type ServerContext } from "./server_run.ts";
import { readEvents } from "./sse.ts";

/** As many as the server gives. */
const PREVIEWS = 3;

/** Makes a runner that reads one streamed answer. Leaving it cancels the request; time is taken here. */
export function streamRunner({ api, backend, decode }: ServerContext): Runner {
  return async ({ guidance, plan, ...rest }, { onEvent, signal }) => {
    const began = performance.now();
    const asked = { ...rest, guidance_scale: guidance, plan: plan ?? "none" };
    const response = await api.request("/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...asked, stream: true, partial_images: PREVIEWS }),
      signal,
    });
    onEvent({ kind: "drawing" });
    for await (const { event, data } of readEvents(response.body!)) { // a stream has one
      const { b64_json, error }: StreamData = JSON.parse(data);
      if (error !== undefined) throw new ApiError(error.message);
      if (b64_json === undefined) continue;
      const png = pngOf(b64_json);
      const pixels = await decode(png);
      if (event !== "image_generation.completed") onEvent({ kind: "preview", pixels });
      else {
        const seconds = (performance.now() - began) / 1000;
        const notices = ["Timed by this page, from request to picture."];
        return { pixels, png, seconds, backend, notices };
      }
    }
    throw new ApiError("The answer ended without a picture.");
  };
}

interface StreamData {
  readonly b64_json?: string;
  readonly error?: { readonly message: string };
}
