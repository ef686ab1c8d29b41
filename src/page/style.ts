/**
 * The page's style sheet: two colour schemes, system fonts, one column below 860 pixels.
 *
 * Computed is the accent, reused its pale shade, in plan, mark and progress alike. Texts keep a contrast of
 * 4.5 to their ground, borders of controls 3.
 */

/** `/page/style.css`. */
export const STYLE = `
:root[data-scheme="light"] { color-scheme: light; }
:root[data-scheme="dark"] { color-scheme: dark; }
:root {
  color-scheme: light dark;
  scroll-padding-block: 84px;
  --ground: light-dark(#f6f5f1, #141518);
  --surface: light-dark(#ffffff, #1c1e22);
  --ink: light-dark(#1c1d20, #ededee);
  --soft: light-dark(#5c6068, #a4a9b2);
  --line: light-dark(#e0ddd4, #2d3036);
  --edge: light-dark(#8a8d94, #6d727c);
  --accent: light-dark(#14508f, #84bbf5);
  --on-accent: light-dark(#ffffff, #0b1724);
  --pale: light-dark(#dbe6f1, #28323e);
  --now: light-dark(#c2185b, #ff7fae);
  --bad: light-dark(#a3201c, #ff9a93);
  --round: 10px;
  font: 16px/1.5 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  background: var(--ground);
  color: var(--ink);
}
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 28px 48px; }
h1, h2, p, dl, dd, figure, ul, ol, fieldset { margin: 0; padding: 0; }
fieldset { border: 0; min-width: 0; }
ul, ol { list-style: none; }
button, input, select, textarea { font: inherit; color: inherit; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.unseen, .chips input, .segments input, .lines input {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
.skip { position: absolute; left: -999px; }
.skip:focus { left: 28px; top: 8px; background: var(--surface); padding: 4px 10px; z-index: 3; }

header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; margin-bottom: 24px; position: relative; padding-right: 52px; }
#scheme { position: absolute; right: 0; top: -6px; padding: 0 9px; line-height: 0; }
#scheme svg, .joined svg { width: 20px; height: 20px; fill: currentColor; }
#scheme circle { fill: none; stroke: currentColor; stroke-width: 1.5; }
h1 { font-size: 1.35rem; letter-spacing: -0.01em; display: flex; align-items: center; gap: 10px; }
.mark { width: 20px; height: 18px; }
.mark .run { fill: var(--accent); } .mark .reuse { fill: light-dark(#a9c4de, #45596f); }
.tagline, .hint, footer { color: var(--soft); }
.hint { font-size: 0.85rem; }
h2 { font-size: 1.05rem; }
.notice { background: var(--surface); border: 1px solid var(--line); border-radius: var(--round); padding: 14px 18px; margin-bottom: 20px; }

main { display: grid; grid-template-columns: 340px minmax(0, 1fr); gap: 24px; align-items: start; }
form, #stage { background: var(--surface); border: 1px solid var(--line); border-radius: 16px; padding: 22px; }
#stage:focus { outline: none; }
#form { display: grid; grid-template-columns: minmax(0, 1fr); gap: 18px; }
input[type="file"] { max-width: 100%; }
legend, label, dt { font-size: 0.85rem; font-weight: 600; padding: 0; }
legend { margin-bottom: 8px; }
.field { display: grid; gap: 6px; }
.field label { display: flex; justify-content: space-between; }
output { font-weight: 400; font-variant-numeric: tabular-nums; }
input[type="number"], input[type="search"], input[type="text"], input[type="password"], select, textarea {
  width: 100%; min-height: 40px; padding: 6px 10px; border: 1px solid var(--edge); border-radius: var(--round); background: var(--ground);
}
textarea { display: block; resize: vertical; min-height: 84px; }
#words { display: grid; gap: 12px; }
#words details > div { padding-top: 10px; }
#examples { display: grid; gap: 6px; justify-items: start; }
.chip { white-space: normal; min-height: 34px; padding: 4px 12px; border-radius: 999px; border-color: var(--line); font-size: 0.88rem; text-align: left; }
.chip[aria-pressed="true"] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
#phrases { display: grid; gap: 6px; }
.phrases { display: grid; grid-template-columns: 90px minmax(0, 1fr); gap: 4px; align-items: center; }
.phrases > span { font-size: 0.82rem; color: var(--soft); text-transform: capitalize; }
.phrases .chips { flex-wrap: nowrap; scrollbar-width: thin; }
.phrases .chip { flex: none; white-space: nowrap; }
#stage-title, #cards .card-title { overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow-wrap: anywhere; }
input:user-invalid { border-color: var(--bad); }
input[type="range"] { width: 100%; accent-color: var(--accent); margin: 0; min-height: 28px; }
#class-search { margin-bottom: 8px; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; max-height: 236px; overflow: auto; padding: 6px; margin: -6px; }
.chips label { display: block; font-weight: 400; font-size: 0.92rem; position: relative; }
.chips span { display: block; padding: 6px 12px; border: 1px solid var(--line); border-radius: 999px; background: var(--ground); cursor: pointer; }
.chips span:hover { border-color: var(--edge); }
.chips :checked + span { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.chips :focus-visible + span, .segments :focus-visible + span, .lines :focus-visible + span { outline: 3px solid var(--accent); outline-offset: 2px; }

summary { cursor: pointer; font-size: 0.85rem; font-weight: 600; padding: 4px 0; border-radius: 6px; }
#edit { display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; padding-top: 12px; }
#edit input[type="file"] { width: 100%; min-width: 0; }
#paper { position: relative; width: min(100%, calc(256px * min(1, var(--aspect, 1)))); border-radius: 6px; overflow: hidden; }
#image-shown { display: block; width: 100%; height: auto; }
#mask { position: absolute; inset: 0; height: 100%; opacity: 0.6; cursor: crosshair; touch-action: none; }
#paper:has(#mask:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
#paper:has(#mask:focus-visible)::after { content: ""; position: absolute; left: var(--brush-x); top: var(--brush-y); width: calc(2 * var(--brush-r)); aspect-ratio: 1; translate: -50% -50%; border: 2px solid #fff; border-radius: 50%; box-shadow: 0 0 0 2px #000; pointer-events: none; }
.mask { display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; padding-top: 8px; justify-items: start; }
.mask .field { width: 100%; min-width: 0; }
#settings-brief { font-weight: 400; color: var(--soft); }
#settings[open] #settings-brief { display: none; }
.settings { display: grid; gap: 18px; padding-top: 14px; }
.pair { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); gap: 12px; }
.pair.even { grid-template-columns: minmax(76px, 1fr) minmax(0, max-content); } .pair select { padding-inline: 6px; }
.joined { display: flex; } .joined > * { border-radius: 0; border-left-width: 0; }
.joined > :first-child { border-radius: var(--round) 0 0 var(--round); border-left-width: 1px; }
.joined > :last-child { border-radius: 0 var(--round) var(--round) 0; }
.joined > :focus-visible { z-index: 1; }
.joined button { flex: none; padding: 0 8px; } .joined select { width: auto; min-width: 0; }
#take .joined { max-width: 100%; } #take .joined a { flex: none; padding: 6px 11px; } #take .joined select { flex: 1 1 auto; padding-inline: 4px; }
.joined svg { display: block; }
.joined .bow { fill: none; stroke: currentColor; stroke-width: 1.75; }
#lock[aria-pressed="false"] .bow { translate: 3.5px 0; }
#lock[aria-pressed="true"] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.joined rect { fill: none; stroke: currentColor; stroke-width: 1.5; }
.lines { display: grid; gap: 2px; }
.lines label { position: relative; font-weight: 400; font-size: 0.92rem; }
.lines label > span { display: flex; align-items: baseline; gap: 9px; padding: 6px 8px; border-radius: 8px; cursor: pointer; }
.lines label > span::before { content: ""; flex: none; align-self: center; width: 14px; height: 14px; border-radius: 50%; border: 1.5px solid var(--edge); }
.lines :not(:checked) + span:hover { background: var(--ground); }
.lines :checked + span { background: var(--pale); }
.lines :checked + span::before { border: 4.5px solid var(--accent); }
.lines small { margin-left: auto; color: var(--soft); font-size: 0.82rem; font-variant-numeric: tabular-nums; text-align: right; }
.lines :checked + span small { color: inherit; }
.segments.three { grid-template-columns: 1fr 1fr 1fr; }
.segments { display: grid; grid-template-columns: 1fr 1fr; border: 1px solid var(--edge); border-radius: var(--round); background: var(--ground); padding: 3px; margin-bottom: 8px; }
.segments label { position: relative; }
.segments span { display: block; text-align: center; padding: 5px 8px; border-radius: 7px; font-weight: 400; font-size: 0.92rem; cursor: pointer; }
.segments :checked + span { background: var(--accent); color: var(--on-accent); }
.segments :disabled + span { color: var(--soft); cursor: not-allowed; }
#engine-field { margin-top: 10px; }
.switch { display: flex; gap: 10px; align-items: center; font-weight: 400; font-size: 0.92rem; cursor: pointer; }
.switch input { appearance: none; flex: none; width: 36px; height: 22px; border-radius: 11px; margin: 0; border: 1px solid var(--edge); background: var(--ground); position: relative; cursor: pointer; }
.switch input::before { content: ""; position: absolute; left: 3px; top: 3px; width: 14px; height: 14px; border-radius: 50%; background: var(--edge); transition: translate 0.15s; }
.switch input:checked { background: var(--accent); border-color: var(--accent); }
.switch input:checked::before { translate: 14px 0; background: var(--on-accent); }

button, .button { min-height: 40px; padding: 6px 16px; border: 1px solid var(--edge); border-radius: var(--round); background: var(--ground); color: var(--ink); cursor: pointer; text-decoration: none; display: inline-block; white-space: nowrap; }
button:hover, .button:hover { border-color: var(--ink); }
.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
button:disabled { opacity: 0.55; cursor: default; }
.go { display: flex; flex-wrap: wrap; gap: 10px; }
.go .primary { flex: 1; min-height: 46px; }
#form > .go { position: sticky; top: 0; bottom: 0; z-index: 2; margin: -10px -22px; padding: 10px 22px; background: var(--surface); border-radius: 16px; }
#form.busy #surprise { display: none; }
fieldset:disabled .lines { opacity: 0.55; }
#plan-field .hint { margin-top: 8px; }

#stage { display: grid; grid-template-columns: minmax(0, 1fr); gap: 20px; }
.view { display: grid; grid-template-columns: minmax(0, 416px) minmax(150px, 1fr); gap: 28px; align-items: start; }
.frame { position: relative; aspect-ratio: 1; border-radius: 12px; overflow: hidden; background: var(--ground); outline: 1px solid var(--line); }
.frame:has(#divider:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
canvas { display: block; width: 100%; height: 100%; image-rendering: pixelated; }
canvas.smooth { image-rendering: auto; }
.frame canvas { position: absolute; inset: 0; object-fit: contain; transition: opacity 0.25s; }
.frame.noise canvas { opacity: 0.5; }
#full { clip-path: inset(0 0 0 var(--split, 50%)); }
.frame.split::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--split, 50%); width: 2px; translate: -1px; background: #fff; box-shadow: 0 0 0 1px #0008; pointer-events: none; }
#divider { position: absolute; inset: 0; height: 100%; opacity: 0; cursor: ew-resize; touch-action: pan-y; }
.tag { position: absolute; bottom: 10px; padding: 2px 9px; border-radius: 999px; font-size: 0.8rem; background: #000b; color: #fff; pointer-events: none; }
.tag.left { left: 10px; } .tag.right { right: 10px; }
.facts { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; align-content: start; }
#status { min-height: 1.5em; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
#stage[data-phase="failed"] #status { color: var(--bad); font-weight: 600; }
progress { appearance: none; width: 100%; height: 6px; border: 0; border-radius: 3px; overflow: hidden; background: var(--pale); }
progress::-webkit-progress-bar { background: var(--pale); }
progress::-webkit-progress-value { background: var(--accent); border-radius: 3px; }
progress::-moz-progress-bar { background: var(--accent); }
dl { display: grid; gap: 14px; }
dt { color: var(--soft); font-weight: 400; }
dd { font-size: 1.7rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
dd.hint { font-size: 0.85rem; font-weight: 400; letter-spacing: 0; }
#difference-figure { width: 132px; } #difference-figure figcaption { margin-top: 4px; } #difference { border-radius: 8px; outline: 1px solid var(--line); height: auto; aspect-ratio: 1; }
figcaption { font-size: 0.85rem; color: var(--soft); }
#notices { font-size: 0.85rem; color: var(--soft); display: grid; gap: 4px; }
#take { display: flex; flex-wrap: wrap; gap: 10px; align-self: start; }
#code > *:not(summary) { margin-top: 10px; }
pre { margin: 0; padding: 12px 14px; max-height: 340px; overflow: auto; border-radius: var(--round); background: var(--ground); border: 1px solid var(--line); font: 0.82rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }

.plan-head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 16px; margin-bottom: 8px; }
.legend { font-size: 0.85rem; color: var(--soft); }
.legend span { display: inline-block; width: 10px; height: 10px; margin: 0 4px 0 10px; border-radius: 2px; }
.legend .run { background: var(--accent); } .legend .reuse { background: var(--pale); outline: 1px solid var(--edge); }
#map { display: block; width: 100%; height: 132px; border-radius: 6px; }
#map .reuse { fill: var(--pale); } #map .run { fill: var(--accent); }
#map .ahead { fill: var(--surface); opacity: 0.55; }
#map .now { fill: none; stroke: var(--now); stroke-width: 2.5; vector-effect: non-scaling-stroke; visibility: hidden; }
#map .now.on { visibility: visible; }
.axis { display: flex; justify-content: space-between; font-size: 0.8rem; color: var(--soft); margin-top: 4px; }

#gallery { margin-top: 32px; display: grid; gap: 12px; }
.gallery-head { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 14px; }
#gallery-count { margin-right: auto; }
#history-notice { margin: 0; } #history-notice:empty { display: none; }
#more-cards { justify-self: center; }
#cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 14px; }
#cards li { display: flex; flex-direction: column; background: var(--surface); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
#cards .card-show { display: block; white-space: normal; width: 100%; padding: 0; border: 0; border-radius: 0; background: none; text-align: left; flex: 1; }
#cards :focus-visible { outline-offset: -3px; }
#cards img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; background: var(--ground); }
#cards img.smooth { image-rendering: auto; }
#cards .card-words { display: block; padding: 8px 12px 0; font-size: 0.85rem; }
#cards .card-words small { display: block; color: var(--soft); font-size: 0.8rem; }
.card-acts { display: flex; flex-wrap: wrap; gap: 2px; padding: 4px 6px 8px; font-size: 0.85rem; }
.card-acts > * { min-height: 28px; padding: 3px 6px; border-radius: 6px; }
.card-acts button { border: 0; background: none; color: var(--soft); margin-left: auto; font-size: inherit; }
.card-acts > *:hover { text-decoration: underline; }
body.dropping::after { content: "Drop a picture to draw it again"; position: fixed; inset: 12px; z-index: 4; display: grid; place-items: center; border: 3px dashed var(--accent); border-radius: 16px; background: color-mix(in srgb, var(--ground) 86%, transparent); font-size: 1.3rem; font-weight: 600; pointer-events: none; }

dialog { border: 1px solid var(--line); border-radius: 16px; background: var(--surface); color: var(--ink); padding: 24px; width: min(400px, calc(100vw - 32px)); }
dialog form { border: 0; padding: 0; display: grid; gap: 14px; }
::backdrop { background: #0008; }
footer { margin-top: 36px; font-size: 0.85rem; }

@media (max-width: 860px) {
  body { padding: 18px 14px 32px; }
  header { margin-bottom: 14px; }
  main { grid-template-columns: minmax(0, 1fr); gap: 14px; }
  form, #stage { padding: 16px; }
  #form > .go { margin: -10px -16px; padding: 10px 16px; }
  #stage { scroll-margin-top: 8px; }
}
@media (max-width: 640px) {
  .view { grid-template-columns: minmax(0, 1fr); gap: 16px; }
  dl { grid-template-columns: repeat(auto-fit, minmax(96px, 1fr)); gap: 10px; }
  dd { font-size: 1.3rem; }
  .facts:has(#difference-figure:not([hidden])) { grid-template-columns: 132px minmax(0, 1fr); }
  .facts > * { grid-column: 1 / -1; }
  .facts > #difference-figure { grid-column: 1; grid-row: span 2; }
  .facts > #difference-figure:not([hidden]) ~ * { grid-column: 2; }
  #map { height: 96px; }
  #cards { grid-template-columns: 1fr 1fr; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media (forced-colors: active) { .chips :checked + span, .lines :checked + span, .segments :checked + span { outline: 2px solid Highlight; } }
`;
