/** A prompt and pictures to edit, in every runtime that serves on all cores. */
import { requires } from "../_shim/requires.ts";
import { expectDrawn, IMAGES } from "./drawn.ts";
import { SERVER_NEEDS } from "./servers.ts";

const threads = navigator.hardwareConcurrency;

for (const name of ["deno", "bun", "node"] as const) {
  const needs = await requires(`drawing a prompt on ${name}`, ...SERVER_NEEDS[name]);
  const images = name === "deno" ? IMAGES : IMAGES.slice(0, 1); // these projects have no decoders in node_modules
  Deno.test(
    `${name} draws a prompt, and edits, to the last level as the library does`,
    needs,
    () => expectDrawn(name, { threads, images }),
  );
}
