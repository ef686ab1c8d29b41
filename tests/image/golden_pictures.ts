/** A file of `tests/golden/pictures`. */
export function golden(name: string): Promise<Uint8Array> {
  return Deno.readFile(new URL(`../golden/pictures/${name}`, import.meta.url));
}
