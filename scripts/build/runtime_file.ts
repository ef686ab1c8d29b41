/**
 * The files of onnxruntime-web that its modules load, which a bundle lacks.
 */

/** Where one of them is, by its name in the package. */
export async function runtimeFile(name: string): Promise<URL> {
  await import("onnxruntime-web/wasm"); // a package that nothing imports is not there yet
  return new URL(import.meta.resolve(`onnxruntime-web/${name}`));
}
