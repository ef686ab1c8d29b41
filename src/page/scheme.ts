/**
 * Light or dark: the system's, until a person chooses; the choice is kept.
 */

import { byId } from "./dom.ts";
import { readText, writeText } from "./settings_store.ts";

const ITEM = "invardiff-scheme";
type Scheme = "light" | "dark";

/** Takes up the kept choice and listens to the button. */
export function followScheme(): void {
  const button = byId("scheme", HTMLButtonElement);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = readText(ITEM);
  let chosen: Scheme | undefined = kept === "light" || kept === "dark" ? kept : undefined;
  const shown = (): Scheme => chosen ?? (system.matches ? "dark" : "light");
  const show = (): void => {
    if (chosen !== undefined) document.documentElement.dataset["scheme"] = chosen;
    button.setAttribute("aria-pressed", `${shown() === "dark"}`);
  };
  button.addEventListener("click", () => {
    chosen = shown() === "dark" ? "light" : "dark";
    writeText(ITEM, chosen);
    show();
  });
  system.addEventListener("change", show);
  show();
}
