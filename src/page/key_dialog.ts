/**
 * Asks for a key when the server wants one; it is kept as long as the tab.
 */

import type { KeyRing } from "./api.ts";
import { ApiError } from "./api.ts";
import { byId, setText } from "./dom.ts";
import { readText, writeText } from "./settings_store.ts";

const ITEM = "invardiff-key";

/** A key ring in a dialog and the tab's session storage. */
export function keyDialog(): KeyRing {
  const dialog = byId("key-dialog", HTMLDialogElement);
  const form = byId("key-form", HTMLFormElement);
  const input = byId("key", HTMLInputElement);
  const why = byId("key-why", HTMLElement);
  let asking: Promise<void> | undefined;

  function open(wrong: boolean): Promise<void> {
    setText(why, wrong ? "The server refused that key." : "This server answers only with a key.");
    input.value = "";
    dialog.showModal();
    return new Promise((resolve, reject) => {
      const onSubmit = (event: Event): void => {
        event.preventDefault();
        writeText(ITEM, input.value.trim(), "tab");
        dialog.close();
      };
      form.addEventListener("submit", onSubmit);
      dialog.addEventListener("close", () => {
        form.removeEventListener("submit", onSubmit);
        if (input.value.trim() !== "") return resolve();
        reject(new ApiError("Without a key this server does not answer."));
      }, { once: true });
      byId("key-cancel", HTMLButtonElement).addEventListener("click", () => {
        input.value = "";
        dialog.close();
      }, { once: true });
      dialog.addEventListener("cancel", () => input.value = "", { once: true });
    });
  }

  return {
    get: () => readText(ITEM, "tab") || undefined,
    ask: (wrong) => asking ??= open(wrong).finally(() => asking = undefined),
  };
}
