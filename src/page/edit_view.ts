/**
 * The picture that a run begins from: chosen, dropped onto the page or taken from the stage, and how strongly it changes.
 */

import type { Picture } from "../image/picture.ts";
import { byId, setText } from "./dom.ts";
import { MaskView } from "./mask_view.ts";
import type { RunEdit } from "./run.ts";

/** The fields of an edit. */
export class EditView {
  readonly #file = byId("image", HTMLInputElement);
  readonly #strength = byId("strength", HTMLInputElement);
  readonly #shown = byId("image-shown", HTMLImageElement);
  readonly #mask: MaskView;
  #picture: Blob | undefined;
  #url: string | undefined;
  /** For the picture that is about to be shown, whose size is not known yet. */
  #waiting: Picture | undefined;

  /** Listens; `onChange` is called when there is another picture, or none. */
  constructor(readonly onChange: () => void) {
    this.#mask = new MaskView(onChange);
    this.#shown.addEventListener("load", () => {
      const { naturalWidth: width, naturalHeight: height } = this.#shown;
      this.#mask.open({ width, height }, this.#waiting);
      this.#waiting = undefined;
    });
    this.#file.addEventListener("change", () => this.take(this.#file.files?.[0]));
    byId("no-image", HTMLButtonElement).addEventListener("click", () => this.take(undefined));
    this.#show(undefined);
  }

  /** Whether the model can begin from a picture. */
  get offered(): boolean {
    return !byId("edit-field", HTMLElement).hidden;
  }

  set offered(offered: boolean) {
    byId("edit-field", HTMLElement).hidden = !offered;
    if (!offered) this.value = undefined;
  }

  /** What a run begins from; `undefined` where it is noise alone. */
  get value(): RunEdit | undefined {
    if (this.#picture === undefined) return undefined;
    const mask = this.#waiting ?? this.#mask.value;
    const strength = this.#strength.valueAsNumber;
    return { image: this.#picture, ...(mask !== undefined && { mask }), strength };
  }

  set value(edit: RunEdit | undefined) {
    this.#picture = edit?.image;
    if (edit !== undefined) this.#strength.value = `${edit.strength}`;
    this.#show(edit?.mask);
  }

  /** Takes another picture, which no mask is for, or none; the strength stays as it is. */
  take(picture: Blob | undefined): void {
    this.#picture = picture;
    this.#show(undefined);
    this.onChange();
  }

  #show(mask: Picture | undefined): void {
    this.#waiting = mask;
    this.#mask.close();
    if (this.#picture === undefined) this.#file.value = "";
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
    this.#url = this.#picture && URL.createObjectURL(this.#picture);
    if (this.#url === undefined) this.#shown.removeAttribute("src");
    else this.#shown.src = this.#url;
    byId("edit", HTMLElement).hidden = this.#url === undefined;
    this.showStrength();
  }

  /** Says how strong it is. */
  showStrength(): void {
    setText(byId("strength-value", HTMLElement), this.#strength.value);
  }
}
