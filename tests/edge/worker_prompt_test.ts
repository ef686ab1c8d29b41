/** A prompt and pictures to edit, in a worker of one thread: a file of its own, for a process has one number of threads. */
import { requires } from "../_shim/requires.ts";
import { expectDrawn, IMAGES } from "./drawn.ts";
import { SERVER_NEEDS } from "./servers.ts";

const needs = await requires("drawing a prompt on workerd", ...SERVER_NEEDS.workerd);

Deno.test(
  "workerd draws a prompt, and edits PNG, JPEG and WebP, to the last level as the library does",
  needs,
  () => expectDrawn("workerd", { threads: 1, images: IMAGES }),
);
