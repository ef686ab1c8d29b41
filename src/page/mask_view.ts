/**
 * The mask over the picture that is begun from: painted by mouse, finger or keys, or read from a file.
 */

import type { Picture } from "../image/picture.ts";
import { encodePng } from "../image/png.ts";
import type { PictureSize } from "../image/resize.ts";
import { decodePicture, paint } from "./canvas.ts";
import { byId, setText } from "./dom.ts";
import {
  asTransparency,
  blankMask,
  type Brush,
  fitMask,
  maskOf,
  type Point,
  repaintedShare,
  withStroke,
} from "./mask.ts";
import { saveFile } from "./save_file.ts";

/** What is painted: the style sheet makes it translucent. */
const PAINT = [194, 24, 91, 255] as const;
/** Where keys move the brush: columns and rows, in shares of its width. */
const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-0.5, 0],
  ArrowRight: [0.5, 0],
  ArrowUp: [0, -0.5],
  ArrowDown: [0, 0.5],
};
/** What keys do where the brush is; true where it erases. */
const DABS: Readonly<Record<string, boolean>> = {
  " ": false,
  Enter: false,
  Backspace: true,
  Delete: true,
};

/** A mask, and what it was made for. */
interface Painted {
  readonly mask: Picture;
  /** Of the picture. */
  readonly size: PictureSize;
}

/** Everything about the mask. */
export class MaskView {
  readonly #paper = byId("paper", HTMLElement);
  readonly #canvas = byId("mask", HTMLCanvasElement);
  readonly #brush = byId("brush", HTMLInputElement);
  readonly #erase = byId("erase", HTMLInputElement);
  readonly #file = byId("mask-file", HTMLInputElement);
  #painted: Painted | undefined;
  #at: Point = { x: 0, y: 0 };
  #readings = 0;

  /** Listens; `onChange` is called when a stroke is done, or there is another mask. */
  constructor(readonly onChange: () => void) {
    this.#canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    this.#canvas.addEventListener("pointermove", (event) => {
      if (this.#canvas.hasPointerCapture(event.pointerId)) this.#stroke(this.#placeOf(event));
    });
    this.#canvas.addEventListener("lostpointercapture", () => this.#end());
    this.#canvas.addEventListener("keydown", (event) => this.#press(event));
    this.#brush.addEventListener("input", () => this.#showBrush());
    this.#file.addEventListener("change", () => void this.#read(this.#file.files?.[0]));
    byId("save-mask", HTMLButtonElement).addEventListener("click", () => void this.#save());
    byId("no-mask", HTMLButtonElement).addEventListener("click", () => {
      this.#clear();
      this.#end();
    });
  }

  /** White where the picture is repainted, of its size; `undefined` where all of it is. */
  get value(): Picture | undefined {
    if (this.#painted === undefined) return undefined;
    const { mask, size } = this.#painted;
    return repaintedShare(mask) === 0 ? undefined : fitMask(mask, size);
  }

  /** Takes the size of another picture, and a mask of that size or none. */
  open(size: PictureSize, mask: Picture | undefined): void {
    const blank = blankMask(size);
    this.#painted = { mask: mask === undefined ? blank : fitMask(mask, blank), size };
    this.#at = { x: blank.width / 2, y: blank.height / 2 };
    this.#readings++;
    this.#paper.style.setProperty("--aspect", `${size.width / size.height}`);
    this.#file.value = "";
    this.#show();
  }

  /** There is no picture to paint over. */
  close(): void {
    this.#painted = undefined;
    this.#readings++;
  }

  #begin(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#at = this.#placeOf(event);
    this.#stroke(this.#at);
  }

  #press(event: KeyboardEvent): void {
    const [move, erases] = [MOVES[event.key], DABS[event.key]];
    if (this.#painted === undefined || (move === undefined && erases === undefined)) return;
    event.preventDefault();
    if (move !== undefined) return this.#move(move);
    this.#stroke(this.#at, erases);
    this.#end();
  }

  #move([across, down]: readonly [number, number]): void {
    const { mask: { width, height } } = this.#painted!; // keys are heard where there is one
    const step = 2 * this.#radius;
    const within = (place: number, most: number): number => Math.min(most, Math.max(0, place));
    this.#at = {
      x: within(this.#at.x + across * step, width),
      y: within(this.#at.y + down * step, height),
    };
    this.#showBrush();
  }

  /** Paints from where the brush is to another place. */
  #stroke(to: Point, erases = this.#erase.checked): void {
    if (this.#painted === undefined) return;
    const brush: Brush = { radius: this.#radius, erases };
    this.#painted = {
      ...this.#painted,
      mask: withStroke(this.#painted.mask, [this.#at, to], brush),
    };
    this.#at = to;
    this.#show();
  }

  #end(): void {
    this.#tell();
    this.onChange();
  }

  #clear(): void {
    if (this.#painted !== undefined) this.open(this.#painted.size, undefined);
  }

  /** As servers and the library take it: what is transparent is drawn anew. */
  async #save(): Promise<void> {
    const { value } = this;
    if (value === undefined) return;
    const png = await encodePng(asTransparency(value));
    saveFile(new Blob([png], { type: "image/png" }), "mask.png");
  }

  async #read(file: File | undefined): Promise<void> {
    if (file === undefined || this.#painted === undefined) return;
    const reading = ++this.#readings;
    const read = await decodePicture(file).catch(() => undefined);
    if (reading !== this.#readings) return; // there is another picture, or another mask
    const { size } = this.#painted;
    if (read === undefined) return this.#refuse("That file is no picture that this browser reads.");
    const { width, height, data } = read;
    if (width !== size.width || height !== size.height) {
      const wanted = `${size.width} × ${size.height}, as the picture is`;
      return this.#refuse(`The mask must be ${wanted}: that one is ${width} × ${height}.`);
    }
    const mask = maskOf({ width, height, channels: 4, pixels: new Uint8Array(data) });
    this.#painted = { mask: fitMask(mask, blankMask(size)), size };
    this.#show();
    this.#end();
  }

  #refuse(why: string): void {
    this.#file.value = "";
    setText(byId("mask-share", HTMLElement), why);
  }

  /** Half of the brush's width, in pixels of the mask. */
  get #radius(): number {
    const { width = 1, height = 1 } = this.#painted?.mask ?? {};
    return Math.max(0.75, this.#brush.valueAsNumber / 200 * Math.max(width, height));
  }

  #placeOf({ clientX, clientY }: PointerEvent): Point {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const mask = this.#painted?.mask ?? { width: 0, height: 0 };
    return {
      x: (clientX - left) / width * mask.width,
      y: (clientY - top) / height * mask.height,
    };
  }

  #show(): void {
    const { width, height, pixels } = this.#painted!.mask; // shown where there is one
    const data = new Uint8ClampedArray(4 * pixels.length);
    pixels.forEach((level, i) => level > 0 && data.set(PAINT, 4 * i));
    paint(this.#canvas, { width, height, data });
    this.#showBrush();
    this.#tell();
  }

  /** Shows where the brush is, for those who move it by keys, and how wide. */
  #showBrush(): void {
    setText(byId("brush-value", HTMLElement), `${this.#brush.value} %`);
    const { width = 1, height = 1 } = this.#painted?.mask ?? {};
    const shares = { x: this.#at.x / width, y: this.#at.y / height, r: this.#radius / width };
    for (const [name, share] of Object.entries(shares)) {
      this.#paper.style.setProperty(`--brush-${name}`, `${100 * share}%`);
    }
  }

  #tell(): void {
    const share = this.#painted === undefined ? 0 : repaintedShare(this.#painted.mask);
    const percent = share > 0 && share < 0.01 ? "less than 1" : `${Math.round(100 * share)}`;
    const words = share === 0 ? "All of it is drawn anew." : `${percent} % of it is drawn anew.`;
    setText(byId("mask-share", HTMLElement), words);
    byId("masked", HTMLElement).hidden = share === 0;
  }
}
