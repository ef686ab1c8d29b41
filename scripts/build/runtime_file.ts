/**
 * Files of packages that pages load as they are: those of onnxruntime-web that its modules load, which a bundle
 * lacks, and Swagger UI.
 */

/** Where one of them is, by its name in the package. */
export async function runtimeFile(name: string): Promise<URL> {
  await import("onnxruntime-web/wasm"); // a package that nothing imports is not there yet
  return new URL(import.meta.resolve(`onnxruntime-web/${name}`));
}

/** Where a file of Swagger UI is. */
export async function viewerFile(name: string): Promise<URL> {
  await import("swagger-ui-dist/package.json", { with: { type: "json" } }); // as above
  return new URL(import.meta.resolve(`swagger-ui-dist/${name}`));
}
