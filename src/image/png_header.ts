/**
 * How a PNG stores its pixels.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers are its own.
 */

import { unreadable } from "./png_chunk.ts";

/** How pixels are stored, §11.2.1. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample: 1, 2, 4, 8 or 16. */
  readonly depth: number;
  readonly colour: Colour;
  readonly interlaced: boolean;
}

/** Grey, RGB, palette, grey with alpha, RGBA. */
export type Colour = 0 | 2 | 3 | 4 | 6;

/** By colour type: samples of a pixel, and which depths they may have. */
export const COLOURS: Readonly<Record<Colour, { samples: number; depths: readonly number[] }>> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};

/** Reads the 13 bytes of IHDR. @throws {AssetError} When they say what no PNG may. */
export function readHeader(body: Uint8Array): PngHeader {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, type, compression, filter, interlace] = body.subarray(8);
  const known = COLOURS[type as Colour]; // of other numbers there is none
  if (width < 1 || height < 1) throw unreadable("size", "at least 1 × 1", `${width} × ${height}`);
  if (known?.depths.includes(depth!) !== true) {
    throw unreadable("colour type and depth", "a pair of PNG", `${type}, ${depth}`);
  }
  if (compression !== 0 || filter !== 0 || interlace! > 1) {
    throw unreadable("methods", "0, 0 and 0 or 1", `${[compression, filter, interlace]}`);
  }
  return { width, height, depth: depth!, colour: type as Colour, interlaced: interlace === 1 }; // 13 bytes
}
