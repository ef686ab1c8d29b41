/**
 * Opens the text encoders of a pipeline directory.
 */

import { describe, textAt } from "../assets/json.ts";
import type { ModelPart } from "../assets/model_dir.ts";
import { checkTensors } from "../assets/tensor_shapes.ts";
import type { Weights } from "../assets/weights.ts";
import { AssetError } from "../errors.ts";
import { clip, POSITION_TABLE, TOKEN_TABLE } from "./clip.ts";
import { parseClipConfig, PROJECTED } from "./clip_config.ts";
import { graphsOf, type TextNetwork } from "./network.ts";
import { RELATIVE_TABLE, SHARED, t5 } from "./t5.ts";
import { parseT5Config } from "./t5_config.ts";

/** A text encoder with its weights, read when they are needed. */
export interface OpenedEncoder {
  readonly network: TextNetwork;
  /** Under the names that the network has for them. */
  readonly weights: Weights;
}

/** A network, and the tables that it reads from its weights beside its graphs' parameters. */
interface Described {
  readonly network: TextNetwork;
  readonly tables: readonly (readonly [name: string, dims: readonly number[]])[];
}

/** A class of encoders that we compute. */
interface Kind {
  describe(config: unknown, className: string): Described;
  /** Our name of a stored tensor; `undefined` for one that a forward pass does not need. */
  nameOf(stored: string, all: ReadonlySet<string>): string | undefined;
}

const CLIP: Kind = {
  describe(json, className): Described {
    const config = parseClipConfig(json, className);
    const { vocabularySize, width, positions } = config;
    return {
      network: clip(config),
      tables: [[TOKEN_TABLE, [vocabularySize, width]], [POSITION_TABLE, [positions, width]]],
    };
  },
  // Versions of transformers before 5 put a prefix before all names but the projection's.
  nameOf: (stored) => stored.replace(/^text_model\./, ""),
};

/** The encoder's own name of the table of tokens, which is the shared one: files have one of them or both. */
const EMBED_TOKENS = "encoder.embed_tokens.weight";

const T5: Kind = {
  describe(json, className): Described {
    const config = parseT5Config(json, className);
    const { vocabularySize, width, buckets, heads } = config;
    return {
      network: t5(config),
      tables: [[SHARED, [vocabularySize, width]], [RELATIVE_TABLE, [buckets, heads]]],
    };
  },
  nameOf(stored, all): string | undefined {
    if (stored !== EMBED_TOKENS) return stored;
    return all.has(SHARED) ? undefined : SHARED;
  },
};

/** By transformers' name of the class. */
const KINDS: Readonly<Record<string, Kind>> = {
  CLIPTextModel: CLIP,
  [PROJECTED]: CLIP,
  T5EncoderModel: T5,
};

/**
 * Opens an encoder of a directory.
 *
 * @param name Where it lies, for messages, such as `text_encoder in /models/a`.
 * @throws {AssetError} When its class or its activation is none that we compute, or tensors do not fit its
 *   configuration.
 */
export function openEncoder({ config, weights: stored }: ModelPart, name: string): OpenedEncoder {
  const className = textAt(config, "architectures", 0);
  const kind = className === undefined || !Object.hasOwn(KINDS, className)
    ? undefined
    : KINDS[className];
  if (className === undefined || kind === undefined) {
    throw new AssetError(
      `Cannot open ${name}: its class must be ${Object.keys(KINDS).join(", ")}: current value is ` +
        describe(className),
    );
  }
  const { network, tables } = kind.describe(config, className);
  const weights = renamed(stored, (own) => kind.nameOf(own, stored.names));
  const wanted = new Map([...tables, ...parametersOf(network)]);
  checkTensors(wanted, weights, `a ${className}`);
  return { network, weights };
}

/** Names and shapes of all that the graphs of a network take. */
function parametersOf(
  network: TextNetwork,
): readonly (readonly [string, readonly number[]])[] {
  return graphsOf(network).flatMap((graph) =>
    graph.build().parameters.map(({ name, dims }) => [name, dims.map(Number)] as const)
  );
}

/** Weights under other names, without those that have none. */
function renamed(stored: Weights, nameOf: (stored: string) => string | undefined): Weights {
  const places = new Map<string, string>();
  for (const name of stored.names) {
    const own = nameOf(name);
    if (own !== undefined) places.set(own, name);
  }
  const placeOf = (name: string): string => places.get(name) ?? name; // refused by name
  const { quantized } = stored;
  const integers = quantized && [...places].filter(([, place]) => quantized.names.has(place));
  return {
    names: new Set(places.keys()),
    dims: (name) => places.has(name) ? stored.dims(placeOf(name)) : undefined,
    read: (name, signal) => stored.read(placeOf(name), signal),
    sample: (name, indices) => stored.sample(placeOf(name), indices),
    ...(quantized && {
      quantized: {
        ...quantized,
        names: new Set(integers!.map(([own]) => own)), // there with quantized
        read: (name, signal) => quantized.read(placeOf(name), signal),
      },
    }),
  };
}
