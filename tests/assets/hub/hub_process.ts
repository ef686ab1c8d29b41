/** A process of its own that downloads a file of a hub: `hf://location path`; settings by environment. */
import process from "node:process";
import { openHub } from "../../../src/assets/hub/hub_source.ts";

const [location = "", path = ""] = process.argv.slice(2);
const source = openHub(location, {
  onDownload: (event) => {
    process.stdout.write(event.kind === "progress" ? `${event.done}\n` : `${event.text}\n`);
  },
});
await source.fetch(path);
await source.close();
process.stdout.write("whole\n");
