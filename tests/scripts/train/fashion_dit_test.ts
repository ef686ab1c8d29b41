/** Runs the Python recipe (8 to 18 s) where PyTorch is installed; the tests of no other part need Python. */
import { assertEquals, assertMatch } from "@std/assert";

const root = new URL("../../../", import.meta.url);
const dataset = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";
const weights = "models/fashion-dit/weights.safetensors";

const missing = await findMissing();
const ignore = missing !== undefined;
const skipped = ignore ? ` (skipped: needs ${missing})` : "";

Deno.test(
  `verify_fashion_dit.py finds the numbers of the original DiT in our definition${skipped}`,
  { ignore },
  async () => {
    const golden = "tests/golden/fashion-dit/golden.safetensors";
    const printed = await python("scripts/train/verify_fashion_dit.py", weights, golden);
    assertMatch(printed, /^132 tensors.*\nforward\.output/);
  },
);

Deno.test(
  `train_fashion_dit.py writes weights that the definition loads${skipped}`,
  { ignore },
  async () => {
    const out = await Deno.makeTempDir();
    try {
      const options = ["--steps", "1", "--batch", "2", "--out", out];
      const trained = await python("scripts/train/fashion_dit.py", ...options);
      assertMatch(trained, /^1\/1 {2}mse [01]\.\d/);
      const weights = `${out}/weights.safetensors`;
      assertMatch(await python("scripts/train/verify_fashion_dit.py", weights), /^132 tensors/);
      const [written, shipped] = [
        await Deno.stat(weights),
        await Deno.stat(new URL(weights, root)),
      ];
      assertEquals(written.size, shipped.size);
    } finally {
      await Deno.remove(out, { recursive: true });
    }
  },
);

/** What the recipe lacks on this machine, with the command that brings it; `undefined` when it can run. */
async function findMissing(): Promise<string | undefined> {
  try {
    const find = "__import__('importlib.util').util.find_spec"; // importing torch itself takes seconds
    await python("-c", `exit(not (${find}('torch') and ${find}('numpy')))`);
  } catch {
    return "`pip install torch==2.13.0 numpy`";
  }
  const hasPictures = await Deno.stat(dataset).then(() => true, () => false);
  return hasPictures ? undefined : "`apt install dataset-fashion-mnist`";
}

/** What it prints; throws with what it says on failure. */
async function python(...args: readonly string[]): Promise<string> {
  const command = new Deno.Command("python3", {
    args: ["-B", ...args], // -B: no __pycache__ in the tree
    cwd: root,
    env: { OMP_NUM_THREADS: "2" },
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
