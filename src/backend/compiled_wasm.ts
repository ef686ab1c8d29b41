/**
 * ONNX Runtime from a module that was compiled ahead.
 *
 * workerd compiles no WebAssembly from bytes: it has only the modules that were deployed with the script.
 * onnxruntime-web 1.30 takes none, so while it initialises, what it would compile is replaced by the
 * module that is already there.
 */

/** Any bytes: with some, the runtime uses its embedded loader and looks for no file. */
export const NO_BINARY: Uint8Array = new Uint8Array(1);

/** Runs `initialise` while WebAssembly instantiates this module, whatever the bytes; then restores it. */
export async function withCompiledModule<T>(
  compiled: WebAssembly.Module,
  initialise: () => Promise<T>,
): Promise<T> {
  const original = WebAssembly.instantiate;
  const instead = async (
    _: unknown,
    imports?: WebAssembly.Imports,
  ): Promise<WebAssembly.WebAssemblyInstantiatedSource> => {
    return { module: compiled, instance: await original(compiled, imports) };
  };
  WebAssembly.instantiate = instead as typeof original; // the runtime calls it with bytes only
  try {
    return await initialise();
  } finally {
    WebAssembly.instantiate = original;
  }
}
