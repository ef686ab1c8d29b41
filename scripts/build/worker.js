/** The worker that `build:edge` makes: the server and nothing else. The build puts `ort.wasm` beside it. */
// @ts-ignore the build puts it there
import compiled from "./ort.wasm";
import { serveWorker } from "@invardiff/edge/cloudflare";

export default serveWorker(compiled);
