/**
 * The page while it draws: what can be pressed, where the focus goes, what is in sight.
 */

import { byId } from "./dom.ts";

/** Offers Cancel instead of Generate, or the other way round. */
export function showBusy(busy: boolean): void {
  const [generate, cancel] = ["generate", "cancel"].map((id) => byId(id, HTMLButtonElement));
  const hadFocus = document.activeElement === (busy ? generate : cancel);
  generate!.disabled = busy; // both were found
  cancel!.hidden = !busy;
  byId("form", HTMLElement).classList.toggle("busy", busy);
  if (hadFocus) (busy ? cancel : generate)!.focus();
  if (busy) byId("stage", HTMLElement).scrollIntoView({ block: "nearest", behavior: motion() });
}

function motion(): ScrollBehavior {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
}
