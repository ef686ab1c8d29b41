import { assertEquals } from "@std/assert";
import { GENERATE, type GenerateCommand } from "../../src/cli/generate_options.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { withRecord } from "../../src/cli/repeat.ts";
import { type PictureRecord, recordText } from "../../src/engine/picture_record.ts";
import { encodePng } from "../../src/image/png.ts";
import { withFolder } from "./captured_run.ts";

const RECORD: PictureRecord = {
  model: "m",
  fingerprint: "f",
  labels: [1, 0, 1],
  prompts: [
    { prompt: "", prompt2: "two", negativePrompt: "grey" },
    { prompt: "a 🦊, ‘漢字’\nand more", prompt2: "three", negativePrompt: "grey" },
  ],
  seed: 7,
  steps: 4,
  guidance: 3,
  trueGuidance: 2.5,
  grid: [16, 8],
};

/** What a command line with a picture of this record asks for. */
async function commandOf(record: PictureRecord, ...words: string[]): Promise<GenerateCommand> {
  let command: GenerateCommand | undefined;
  await withFolder(async (folder) => {
    const picture = { width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) } as const;
    await Deno.writeFile(`${folder}/a.png`, await encodePng(picture, recordText(record)));
    command = await withRecord(parseOptions(GENERATE, ["--from", `${folder}/a.png`, ...words]));
  });
  return command!;
}

Deno.test("--from asks for the policy that decided, unless another or a plan is named", async () => {
  const record = { ...RECORD, policy: "teacache:threshold=.4" };
  const planned = { ...RECORD, plan: { name: "a.json", digest: "d" } };
  const chosen = (
    { policy, plan, planDigest, steps }: GenerateCommand,
  ) => [policy, plan, planDigest, steps];
  assertEquals(chosen(await commandOf(record)), [record.policy, "none", undefined, 4]);
  assertEquals(chosen(await commandOf(record, "--policy", "first-block")), [
    "first-block",
    "auto",
    undefined,
    4,
  ]);
  assertEquals(chosen(await commandOf(record, "--plan", "b.json")), [
    undefined,
    "b.json",
    undefined,
    undefined,
  ]);
  assertEquals(chosen(await commandOf(planned, "--policy", "first-block")), [
    "first-block",
    "auto",
    undefined,
    4,
  ]);
});

Deno.test("--from asks for the steps beside each other, unless a plan or a policy takes their place", async () => {
  const record = { ...RECORD, parallel: "srds:segments=2" };
  const chosen = ({ parallel, policy, plan }: GenerateCommand) => [parallel, policy, plan];
  assertEquals(chosen(await commandOf(record)), [record.parallel, undefined, "none"]);
  assertEquals(chosen(await commandOf(record, "--parallel", "srds")), ["srds", undefined, "auto"]);
  assertEquals(chosen(await commandOf(record, "--policy", "teacache")), [
    undefined,
    "teacache",
    "auto",
  ]);
  assertEquals(chosen(await commandOf(record, "--plan", "b.json")), [
    undefined,
    undefined,
    "b.json",
  ]);
  const decided = { ...RECORD, policy: "teacache" };
  assertEquals(chosen(await commandOf(decided, "--parallel", "srds")), ["srds", undefined, "auto"]);
});

Deno.test("--from asks for the prompts of each picture, what goes with them, and how they were guided", async () => {
  const { prompts, prompt2, negativePrompt, labels, seed, grid, ...rest } = await commandOf(RECORD);
  assertEquals(prompts, ["a 🦊, ‘漢字’\nand more", "", "a 🦊, ‘漢字’\nand more"]);
  assertEquals([prompt2, negativePrompt], [["three", "two", "three"], "grey"]);
  assertEquals([labels, seed, grid, rest.steps], [undefined, 7, [16, 8], 4]);
  assertEquals([rest.guidance, rest.trueGuidance, rest.plan], [3, 2.5, "none"]);
});

Deno.test("--from with other prompts or labels takes those, and all else from the picture", async () => {
  const other = await commandOf(RECORD, "--prompt", "x", "--prompt", "y", "--true-guidance", "4");
  assertEquals([other.prompts, other.prompt2, other.negativePrompt], [
    ["x", "y"],
    undefined,
    "grey",
  ]);
  assertEquals([other.trueGuidance, other.guidance, other.seed], [4, 3, 7]);
  const labelled = await commandOf(RECORD, "--label", "Bag");
  assertEquals([labelled.labels, labelled.prompts], [["Bag"], undefined]);
  assertEquals(labelled.negativePrompt, undefined);
  const each = await commandOf(RECORD, "--negative-prompt", "", "--prompt2", "z");
  assertEquals([each.prompts?.length, each.prompt2, each.negativePrompt], [3, "z", ""]);
});

Deno.test("--from reads what 0.1.0 wrote: classes, and neither prompts nor precision", async () => {
  const { prompts: _, trueGuidance: _2, grid: _3, ...old } = RECORD;
  const { labels, prompts, weights, precision, trueGuidance } = await commandOf(old);
  assertEquals([labels, prompts, trueGuidance], [[1, 0, 1], undefined, undefined]);
  assertEquals([weights, precision], ["f32", "f32"]); // whatever a GPU would take by itself
});
