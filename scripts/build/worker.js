/** The worker that `build:edge` makes: the server and nothing else. The build puts the WebAssembly beside it. */
// @ts-ignore the build puts it there
import compiled from "./ort.wasm";
// @ts-ignore as above
import jpeg from "./jpeg.wasm";
// @ts-ignore as above
import webp from "./webp.wasm";
import { serveWorker } from "@invardiff/edge/cloudflare";

export default serveWorker(compiled, { decoders: { jpeg, webp } });
