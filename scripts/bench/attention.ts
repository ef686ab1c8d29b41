/**
 * Which shaders attention takes on WebGPU, by tokens: in Deno (here Mesa's llvmpipe, which has no subgroups) in both
 * precisions, and in Chromium (here SwiftShader, whose subgroups have four lanes) without subgroups and with them.
 *
 *     deno task bench:attention
 */
import {
  type AttentionShaders,
  attentionShaders,
  type AttentionSubject,
} from "./attention_shaders.ts";
import { openBenchPage } from "./gpu_meters.ts";

const TOKENS = [16, 64, 256, 1024, 4096];
const PROBE = new URL("attention_shaders.ts", import.meta.url);

const [type] = Deno.args;
if (type === "float32" || type === "float16") { // a process of its own, which has one device
  console.log(JSON.stringify(await attentionShaders({ tokens: TOKENS, type, subgroups: false })));
} else {
  for (const type of ["float32", "float16"] as const) {
    print(`Deno, ${type}`, await inProcess(type));
  }
  for (const subgroups of [false, true]) {
    const where = `Chromium, float32, ${subgroups ? "" : "no "}subgroups`;
    print(where, await inPage({ tokens: TOKENS, type: "float32", subgroups }));
  }
}

function print(where: string, found: readonly AttentionShaders[]): void {
  for (const { tokens, shaders, error } of found) {
    const off = error.toExponential(1).padStart(8);
    console.log(`${where.padEnd(35)} ${`${tokens}`.padStart(5)} ${off}  ${shaders.join(", ")}`);
  }
}

async function inProcess(type: string): Promise<readonly AttentionShaders[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", import.meta.filename!, type],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)); // as it was written just above
}

async function inPage(subject: AttentionSubject): Promise<readonly AttentionShaders[]> {
  const { page, close } = await openBenchPage({ probe: PROBE });
  try {
    return await page.evaluate(async (subject) => {
      const { attentionShaders } = await import(`${location.origin}/probe.js`);
      return await attentionShaders({ ...subject, folder: `${location.origin}/` });
    }, subject);
  } finally {
    await close();
  }
}
