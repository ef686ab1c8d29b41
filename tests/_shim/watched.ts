/** Running another process that may hang: it is killed then, and the test fails. */

/** What it runs with. */
export interface WatchedOptions {
  /** Seconds after which it is killed. */
  readonly seconds: number;
  /** Working directory; the repository's root unless given. */
  readonly cwd?: URL;
}

/** The repository's root. */
export const ROOT = new URL("../../", import.meta.url);

/** For programs of the repository, so that they take the packages of these tests, and fetch none on the way. */
export const LOCK = `--lock=${new URL("deno.lock", ROOT).pathname}`;

/**
 * Runs a command to its end and returns what it printed; fails when it fails, and when it is late. What
 * blocks its thread cannot be stopped from inside, so the watchdog is another process: this one.
 */
export async function runWatched(
  [command, ...args]: readonly [string, ...string[]],
  { seconds, cwd = ROOT }: WatchedOptions,
): Promise<string> {
  const child = new Deno.Command(command, { args, cwd, stdout: "piped", stderr: "piped" }).spawn();
  let late = false;
  const watchdog = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, seconds * 1000);
  try {
    const { success, stdout, stderr } = await child.output();
    const [printed, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    const what = [command, ...args].join(" ");
    if (late) throw new Error(`${what} hangs: no end within ${seconds} s\n${printed}${complaint}`);
    if (!success) throw new Error(`${what} failed\n${printed}${complaint}`);
    return printed!; // two streams were decoded
  } finally {
    clearTimeout(watchdog);
  }
}

/** The command that runs a script in a fresh Deno with the permissions that backends need. */
export function deno(script: URL, ...args: readonly string[]): [string, ...string[]] {
  return denoAllowing(["read", "env", "sys", "ffi"], script, ...args);
}

/** The command that runs a script in a fresh Deno with these permissions. */
export function denoAllowing(
  permissions: readonly string[],
  script: URL,
  ...args: readonly string[]
): [string, ...string[]] {
  const allowed = permissions.map((name) => `--allow-${name}`);
  return [Deno.execPath(), "run", LOCK, "--no-prompt", ...allowed, script.pathname, ...args];
}
