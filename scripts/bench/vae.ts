/**
 * Seconds and peak memory of the published decoders' geometry (128, 256, 512 and 512 wide) with random weights.
 *
 *     deno task bench:vae                                   the table on wasm and native
 *     deno task bench:vae --backend native --latent 64x64 --tile 32
 *
 * Each line is a process of its own, whose peak is what the system says. A latent of at most `tile` × `tile` pixels
 * is decoded in one piece, a larger one in bands of rows, with `--room 0` in tiles with blended seams.
 * `preview` is what a preview costs after the fit of its map, whose seconds are in brackets.
 */
import process from "node:process";
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { findNative } from "../../src/backend/native.ts";
import { openBackend } from "../../src/backend/select.ts";
import { paintLatents } from "../../src/engine/decode/latent_colours.ts";
import * as vaes from "../../src/engine/decode/vae.ts";
import { VaeGraphs } from "../../src/engine/decode/vae_graphs.ts";
import { describeVae, vaeTensors } from "../../src/model/vae/vae.ts";
import { parseVaeConfig } from "../../src/model/vae/config.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { PUBLISHED_VAE, randomTensors } from "../make/random_weights.ts";

const LINES = [
  { latent: "32x32", tile: "64", room: "inf" },
  { latent: "64x64", tile: "64", room: "inf" },
  { latent: "64x64", tile: "32", room: "inf" },
  { latent: "64x64", tile: "32", room: "0" },
  { latent: "128x128", tile: "32", room: "inf" },
];

const VAE = describeVae(parseVaeConfig(PUBLISHED_VAE));

const { values } = parseArgs({
  options: {
    backend: { type: "string" },
    latent: { type: "string" },
    tile: { type: "string", default: "64" },
    room: { type: "string", default: "inf" },
    child: { type: "boolean", default: false },
  },
});

if (values.child) await measureLine();
else await measureAll();

async function measureAll(): Promise<void> {
  console.log(
    "backend  latent    picture     tile  room  seconds    cpu s  peak MiB  preview ms (fit s)",
  );
  const found = await findNative() === undefined ? ["wasm"] : ["wasm", "native"];
  const given = { latent: values.latent ?? "", tile: values.tile, room: values.room };
  for (const backend of values.backend === undefined ? found : [values.backend]) {
    for (const line of values.latent === undefined ? LINES : [given]) {
      const args = Object.entries({ backend, ...line }).flatMap((
        [key, value],
      ) => [`--${key}`, value]);
      const script = new URL(import.meta.url).pathname;
      const allowed = ["--allow-read", "--allow-env", "--allow-sys", "--allow-ffi"];
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", ...allowed, script, "--child", ...args],
      }).output();
      const [printed, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      console.log(success ? printed!.trimEnd() : `${args.join(" ")} failed: ${complaint}`); // two streams
    }
  }
}

/** Decodes once, with sessions loaded. */
async function measureLine(): Promise<void> {
  const [height = 0, width = 0] = values.latent!.split("x").map(Number); // the parent gives it
  const { backend } = await openBackend({ backend: values.backend as BackendName }); // others are refused
  const graphs = new VaeGraphs(backend, VAE, randomTensors(vaeTensors(VAE)));
  const options = { tile: Number(values.tile), hostBytes: values.room === "inf" ? Infinity : 0 };
  const latents = normalNoise([1, VAE.latentChannels, height, width], 7);
  await vaes.decode(graphs, normalNoise([1, VAE.latentChannels, 1, 1], 7)); // loads its sessions
  const before = process.cpuUsage();
  const seconds = await secondsOf(() => vaes.decode(graphs, latents, options));
  const { user, system } = process.cpuUsage(before);
  const peak = process.resourceUsage().maxRSS / 1024;
  const begin = performance.now();
  const colours = height > 32 ? undefined : await vaes.fitPreview(graphs);
  const fit = (performance.now() - begin) / 1000;
  const preview = colours && await secondsOf(() => Promise.resolve(paintLatents(colours, latents)));
  await graphs.dispose();
  await backend.dispose();
  const columns = [
    backend.name.padEnd(8),
    `${height}x${width}`.padEnd(9),
    `${8 * height}x${8 * width}`.padEnd(9),
    values.tile.padStart(6),
    values.room.padStart(5),
    seconds.toFixed(2).padStart(8),
    ((user + system) / 1e6).toFixed(2).padStart(8),
    peak.toFixed(0).padStart(9),
    preview === undefined ? "" : `${(preview * 1000).toFixed(2).padStart(9)} (${fit.toFixed(2)})`,
  ];
  console.log(columns.join(" "));
}

async function secondsOf(task: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await task();
  return (performance.now() - begin) / 1000;
}
