/**
 * From the samples of a PNG to bytes: depths, palettes, transparent colours.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers are its own.
 */

import { type Chunk, unreadable } from "./png_chunk.ts";
import { COLOURS, type PngHeader } from "./png_header.ts";

/** Where the pixels of a row go. */
export interface Place {
  readonly pixels: Uint8Array;
  /** Index of the first pixel. */
  readonly at: number;
  /** Bytes from one pixel to the next. */
  readonly step: number;
  readonly count: number;
}

/** How stored rows become pixels. */
export interface Painter {
  /** Bytes of a pixel. */
  readonly channels: 1 | 3 | 4;
  paintRow(row: Uint8Array, place: Place): void;
}

type Sample = (row: Uint8Array, index: number) => number;

/** @throws {AssetError} When a palette or a transparent colour is not as the header wants it. */
export function painterOf({ depth, colour }: PngHeader, chunks: readonly Chunk[]): Painter {
  const bodyOf = (type: string): Uint8Array | undefined =>
    chunks.find((chunk) => chunk.type === type)?.body;
  const sample = sampleOf(depth);
  const transparency = bodyOf("tRNS");
  if (colour === 3) return palettePainter(sample, bodyOf("PLTE"), transparency);
  const { samples } = COLOURS[colour];
  const key = transparency && samples % 2 === 1 ? keyOf(transparency, samples) : undefined;
  return levelPainter(sample, { samples, key, most: 2 ** depth - 1 });
}

/** Grey and RGB, with alpha, or with one colour that is transparent. */
function levelPainter(
  sample: Sample,
  { samples, key, most }: {
    readonly samples: number;
    readonly key: readonly number[] | undefined;
    /** The largest sample. */
    readonly most: number;
  },
): Painter {
  const channels = samples % 2 === 0 || key !== undefined ? 4 : samples === 3 ? 3 : 1;
  const colours = Math.min(channels, 3);
  const level = (value: number): number => Math.round(value * 255 / most);
  return {
    channels,
    paintRow(row, { pixels, at, step, count }): void {
      for (let i = 0; i < count; i++) {
        const [from, to] = [i * samples, at + i * step];
        for (let c = 0; c < colours; c++) {
          pixels[to + c] = level(sample(row, samples < 3 ? from : from + c));
        }
        if (channels !== 4) continue;
        const isKey = key?.every((value, s) => value === sample(row, from + s));
        pixels[to + 3] = key === undefined
          ? level(sample(row, from + samples - 1))
          : isKey
          ? 0
          : 255;
      }
    },
  };
}

/** The colour that is transparent, §11.3.1.1. */
function keyOf(body: Uint8Array, samples: number): readonly number[] {
  if (body.length !== 2 * samples) throw unreadable("tRNS", `${2 * samples} bytes`, body.length);
  return Array.from({ length: samples }, (_, s) => body[2 * s]! << 8 | body[2 * s + 1]!);
}

function palettePainter(
  sample: Sample,
  palette: Uint8Array | undefined,
  alphas: Uint8Array | undefined,
): Painter {
  if (palette === undefined) throw unreadable("PLTE", "present", "absent");
  const colours = palette.length / 3;
  const channels = alphas === undefined ? 3 : 4;
  return {
    channels,
    paintRow(row, { pixels, at, step, count }): void {
      for (let i = 0; i < count; i++) {
        const entry = sample(row, i);
        if (entry >= colours) throw unreadable("palette", `more than ${entry} colours`, colours);
        const to = at + i * step;
        for (let c = 0; c < 3; c++) pixels[to + c] = palette[3 * entry + c]!;
        if (channels === 4) pixels[to + 3] = alphas?.[entry] ?? 255;
      }
    },
  };
}

/** Reads a sample of a row, whose bits are packed from the left, §7.2. */
function sampleOf(depth: number): Sample {
  if (depth === 8) return (row, index) => row[index]!;
  if (depth === 16) return (row, index) => row[2 * index]! << 8 | row[2 * index + 1]!;
  return (row, index) => {
    const bit = index * depth;
    return row[bit >> 3]! >> (8 - depth - bit % 8) & (2 ** depth - 1);
  };
}
