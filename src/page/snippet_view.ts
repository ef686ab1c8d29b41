/**
 * Code for the picture of the stage, and what copies it.
 */

import { byId, setText } from "./dom.ts";
import { type Outcome, outcomeFile } from "./outcome.ts";
import { type SnippetKind, snippetOf } from "./snippet.ts";

/** The code beside a picture. */
export class SnippetView {
  readonly #field = byId("code", HTMLDetailsElement);
  #outcome: Outcome | undefined;

  /** Takes the choice of languages in hand; `onTold` is called with what was copied. */
  constructor(readonly isKeyed: boolean, readonly onTold: (words: string) => void) {
    this.#field.addEventListener("input", () => this.#show());
    byId("copy-code", HTMLButtonElement).addEventListener("click", () => {
      void this.#copy(byId("snippet", HTMLElement).textContent ?? "", "Code");
    });
    const link = byId("link", HTMLAnchorElement);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      void this.#copy(link.href, "Link");
    });
  }

  /** Shows the code of a picture; `undefined` hides it. */
  show(outcome: Outcome | undefined): void {
    this.#outcome = outcome;
    this.#field.hidden = outcome === undefined;
    this.#show();
  }

  #show(): void {
    if (this.#outcome === undefined) return;
    const { request, title, link, result } = this.#outcome;
    const kind = this.#field.querySelector<HTMLInputElement>(":checked")!.value as SnippetKind; // the shell's own
    const server = new URL(".", document.baseURI).href.replace(/\/$/, "");
    const file = outcomeFile(this.#outcome);
    const [backend] = /\b(wasm|native|webgpu)\b/.exec(result.backend ?? "") ?? [];
    const place = { server, isKeyed: this.isKeyed, title, file, backend };
    setText(byId("snippet", HTMLElement), snippetOf(kind, request, place));
    byId("link", HTMLAnchorElement).href = `${server}/${link}`;
  }

  async #copy(text: string, what: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.onTold(`${what} copied.`);
    } catch { // forbidden, or no secure context: a person can still copy by hand
      this.onTold(`The browser does not let this page copy: ${text}`);
    }
  }
}
