/**
 * jSquash's decoders of JPEG and WebP, which are WebAssembly.
 *
 * A decoder lives for one picture: its memory never shrinks, and one that failed may keep what it had reserved.
 */

/** Pixels in RGBA. */
export interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** Decodes a file; whatever it throws means that it cannot. */
export type Decode = (bytes: ArrayBuffer) => Promise<Decoded>;

/** What both packages export. */
interface Codec {
  init(module: WebAssembly.Module | undefined, options: object): Promise<void>;
  decode: Decode;
}

/** The decoders' WebAssembly, compiled ahead: for hosts that compile none from bytes (workerd). */
export interface CompiledDecoders {
  /** `codec/dec/mozjpeg_dec.wasm` of `@jsquash/jpeg`. */
  readonly jpeg?: WebAssembly.Module;
  /** `codec/dec/webp_dec.wasm` of `@jsquash/webp`. */
  readonly webp?: WebAssembly.Module;
}

const BINARIES = { jpeg: "mozjpeg_dec.wasm", webp: "webp_dec.wasm" } as const;
/** What is wrong with a file is thrown, too. */
const SILENT = { print: (): void => {}, printErr: (): void => {} };

/** Loads a decoder; whatever it throws means that there is none here. */
export async function loadDecoder(
  format: keyof typeof BINARIES,
  compiled: CompiledDecoders = {},
): Promise<Decode> {
  const { init, decode } = format === "jpeg" ? await jpeg() : await webp();
  const name = `@jsquash/${format}/codec/dec/${BINARIES[format]}`;
  await init(compiled[format] ?? await compiledForNode(name), SILENT);
  return decode;
}

async function jpeg(): Promise<Codec> {
  const { init, default: decode } = await import("npm:@jsquash/jpeg@1.6.0/decode.js");
  return {
    init: init as Codec["init"], // its types leave out the module
    decode: (bytes) =>
      // bytes of RGBA, whatever newer types allow an ImageData; turned upright
      decode(bytes, { preserveOrientation: true }) as Promise<Decoded>,
  };
}

async function webp(): Promise<Codec> {
  const { init, default: decode } = await import("npm:@jsquash/webp@1.5.0/decode.js");
  return { init: init as Codec["init"], decode: decode as Decode }; // as above
}

/** Node alone fetches no files: there the package's binary is compiled ahead. */
async function compiledForNode(name: string): Promise<WebAssembly.Module | undefined> {
  if ("Deno" in globalThis || "Bun" in globalThis || !("process" in globalThis)) return undefined;
  const { readFile } = await import("node:fs/promises");
  const bytes = await readFile(new URL(import.meta.resolve(name)));
  return new WebAssembly.Module(new Uint8Array(bytes));
}
