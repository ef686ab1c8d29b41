/**
 * The page's HTML, without any script or style of its own: the policy of its headers allows none. Its links
 * are relative, so that a proxy may put the server under any path.
 */

import { BROWSER_MODELS } from "./contract.ts";

/** What the page is told with its HTML. */
export interface PageFacts {
  readonly version: string;
  /** Models whose files are served, to run in the browser; none where there is no build. */
  readonly browserModels: readonly string[];
}

/** Writes the page. */
export function renderShell({ version, browserModels }: PageFacts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="Diffusion transformers with precomputed cache plans.">
<meta name="${BROWSER_MODELS}" content="${escaped(browserModels.join(" "))}">
<title>InvarDiff</title>
<link rel="icon" href="page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="page/style.css">
<script type="module" src="page/main.js"></script>
</head>
<body>
<a class="skip" href="#stage">Skip to the picture</a>
<header>
<h1>${MARK}InvarDiff</h1>
<p class="tagline">Pictures drawn in steps, most of which are reused.</p>
<button type="button" id="scheme" aria-pressed="false" aria-label="Dark" title="Dark or light">${SCHEME_ICON}</button>
</header>
<noscript><p class="notice">This page draws pictures with JavaScript, which is switched off.
The API works without: see <a href="docs">its reference</a>.</p></noscript>
<main>
${FORM}
${STAGE}
</main>
${GALLERY}
${KEY_DIALOG}
<footer><p>InvarDiff ${escaped(version)} · <a href="docs">API</a></p></footer>
<p id="announcer" class="unseen" role="status" aria-live="polite"></p>
</body>
</html>
`;
}

/** Steps, of which the bright ones are computed; `/page/icon.svg`. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#14508f"/>
<path fill="#fff" d="M6 7h4v18H6zM22 7h4v18h-4z"/>
<path fill="#8fb8e3" d="M12 7h3v18h-3zM17 7h3v18h-3z"/>
</svg>
`;

const MARK = `<svg class="mark" viewBox="0 0 20 18" aria-hidden="true">
<path class="run" d="M0 0h4v18H0zM16 0h4v18h-4z"/><path class="reuse" d="M6 0h3v18H6zM11 0h3v18h-3z"/>
</svg>`;

const SCHEME_ICON =
  `<svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="7.5"/>` +
  `<path d="M10 2.5a7.5 7.5 0 0 1 0 15z"/></svg>`;

const LOCK_ICON = `<svg viewBox="0 0 20 20" aria-hidden="true">` +
  `<path class="bow" d="M6 9V6.5a4 4 0 0 1 8 0V9"/><rect x="4" y="9" width="12" height="8" rx="2"/></svg>`;

const FORM = `<form id="form" autocomplete="off">
<div class="field" id="model-field" hidden><label for="model">Model</label><select id="model"></select></div>
<fieldset id="prompting" hidden>
<legend><label for="prompt">Describe the picture</label></legend>
<textarea id="prompt" rows="3" maxlength="32000" spellcheck="true" enterkeyhint="go"></textarea>
</fieldset>
<fieldset id="classes">
<legend>Picture of</legend>
<input type="search" id="class-search" placeholder="Search…" aria-label="Search classes" hidden>
<div id="class-list" class="chips"></div>
</fieldset>
<div class="go">
<button type="submit" id="generate" class="primary" disabled>Generate</button>
<button type="button" id="surprise" hidden>Surprise me</button>
<button type="button" id="cancel" hidden>Cancel</button>
</div>
<fieldset id="edit-field" hidden>
<legend><label for="image">Begin from a picture</label></legend>
<input type="file" id="image" accept="image/png,image/jpeg,image/webp">
<div id="edit" hidden>
<div id="paper"><img id="image-shown" alt="The picture that is begun from">
<canvas id="mask" width="1" height="1" tabindex="0" role="application" aria-label="Mask" aria-describedby="mask-how"></canvas></div>
<div class="field"><label for="strength">Strength <output id="strength-value" for="strength">0.6</output></label>
<input type="range" id="strength" min="0.05" max="1" step="0.05" value="0.6"></div>
<details id="mask-field"><summary>Draw a part of it anew</summary><div class="mask">
<p id="mask-how" class="hint">Paint over it, above. By keys: arrows move the brush, Space paints, Backspace erases.</p>
<div class="field"><label for="brush">Brush <output id="brush-value" for="brush">15 %</output></label>
<input type="range" id="brush" min="1" max="60" step="1" value="15"></div>
<label class="switch"><input type="checkbox" id="erase" role="switch"><span>Erase</span></label>
<div class="field"><label for="mask-file">Mask from a file: what is transparent, else white</label>
<input type="file" id="mask-file" accept="image/png,image/jpeg,image/webp"></div>
<div class="go" id="masked" hidden><button type="button" id="no-mask">Draw all of it anew</button>
<button type="button" id="save-mask">Save the mask</button></div>
</div></details>
<p id="mask-share" class="hint" role="status"></p>
<button type="button" id="no-image">Without it</button>
</div>
</fieldset>
<div id="words" hidden>
<details id="phrases-field" open><summary>Details that it knows</summary><div id="phrases"></div></details>
<details id="examples-field"><summary>Examples</summary><div id="examples"></div></details>
</div>
<details id="settings" open>
<summary><span>Settings</span> <span id="settings-brief"></span></summary>
<div class="settings">
<div class="pair">
<div class="field"><label for="seed">Seed</label>
<div class="joined"><input type="number" id="seed" min="0" max="9007199254739991" step="1" value="0" required>
<button type="button" id="dice" aria-label="Roll another seed" title="Another seed">${diceIcon()}</button>
<button type="button" id="lock" aria-pressed="false" aria-label="Keep this seed" title="Keep this seed for every picture">${LOCK_ICON}</button></div></div>
<div class="field"><label for="count">Pictures</label>
<input type="number" id="count" min="1" max="8" step="1" value="1" required></div>
</div>
<div class="pair even">
<div class="field"><label for="steps">Steps</label>
<input type="number" id="steps" min="1" max="1000" step="1" value="50" required></div>
<div class="field" id="sampler-field" hidden><label for="sampler">Solver</label><select id="sampler"></select></div>
</div>
<div class="field" id="guidance-field"><label for="guidance">Guidance <output id="guidance-value" for="guidance">2</output></label>
<input type="range" id="guidance" min="1" max="8" step="0.1" value="2"></div>
<div id="negative-field" class="field" hidden><label for="negative">Without</label>
<input type="text" id="negative" maxlength="32000" placeholder="What the picture shall not show">
<div class="field" id="true-guidance-field" hidden><label for="true-guidance">How strongly <output id="true-guidance-value" for="true-guidance">4</output></label>
<input type="range" id="true-guidance" min="1.5" max="10" step="0.5" value="4"><p class="hint">Takes twice as long.</p></div></div>
<fieldset id="plan-field"><legend>Plan</legend><div id="plans" class="lines"></div>
<p class="hint" id="plan-hint" hidden>× is how many times less arithmetic it takes. dB is how near pictures come to the exact ones (PSNR): at 40 dB pixels are off by 1 % of their range, at 60 dB by a tenth of that.</p>
<p class="hint" id="solver-hint" hidden>Plans are made for the model’s own solver; with another every step is computed.</p></fieldset>
<fieldset id="place-field"><legend>Draw in</legend>
<div class="segments">
<label><input type="radio" name="place" value="server" checked><span>Server</span></label>
<label><input type="radio" name="place" value="browser"><span>This browser</span></label>
</div>
<p id="place-facts" class="hint"></p>
<div class="field" id="engine-field" hidden><label for="engine">Engine</label>
<select id="engine"><option value="auto">Automatic</option><option value="webgpu">WebGPU</option>
<option value="wasm">WebAssembly</option></select></div>
</fieldset>
<label class="switch"><input type="checkbox" id="compare" role="switch"><span>Compare with full computation</span></label>
<p class="hint" id="compare-hint" hidden>Without a plan every step is computed: there is nothing to compare with.</p>
</div>
</details>
</form>`;

const STAGE = `<section id="stage" aria-labelledby="stage-title" tabindex="-1">
<h2 id="stage-title">&nbsp;</h2>
<div class="view">
<div class="frame" id="frame">
<canvas id="picture" width="32" height="32" role="img" aria-label="Nothing drawn yet"></canvas>
<canvas id="full" width="32" height="32" role="img" aria-label="Full computation" hidden></canvas>
<span class="tag left" id="tag-left" hidden>With plan</span><span class="tag right" id="tag-right" hidden>Full</span>
<input type="range" id="divider" min="0" max="100" step="1" value="50" aria-label="Divide between the picture with plan, left, and in full, right" hidden>
</div>
<div class="facts">
<p id="status">Connecting…</p>
<progress id="progress" max="1" value="0" aria-label="Progress" hidden></progress>
<dl id="numbers">
<div><dt>Time</dt><dd id="time">–</dd></div>
<div><dt>Faster</dt><dd id="speed">–</dd><dd id="speed-how" class="hint"></dd></div>
<div id="psnr-row" hidden><dt>Likeness</dt><dd id="psnr">–</dd><dd class="hint">to full computation (PSNR): at 40 dB pixels are off by 1 % of their range</dd></div>
</dl>
<figure id="difference-figure" hidden><canvas id="difference" width="32" height="32" role="img" aria-label="Difference of both pictures, four times magnified"></canvas>
<figcaption>Difference × 4</figcaption></figure>
<ul id="notices" hidden></ul>
<div id="take" hidden>
<div class="joined"><a id="download" class="button">Download PNG</a>
<select id="enlargement" aria-label="Size of the download"></select></div>
<a id="link" class="button" title="Copies the link that draws it again">Copy link</a>
<button type="button" id="vary">Four variations</button>
<button type="button" id="begin" hidden>Begin from it</button></div>
</div>
</div>
<details id="code" hidden><summary>Code for this picture</summary>
<fieldset class="segments three"><legend class="unseen">Written for</legend>
<label><input type="radio" name="language" value="curl" checked><span>curl</span></label>
<label><input type="radio" name="language" value="openai"><span>OpenAI client</span></label>
<label><input type="radio" name="language" value="library"><span>Library</span></label>
</fieldset>
<pre tabindex="0" aria-label="Code"><code id="snippet"></code></pre>
<button type="button" id="copy-code">Copy</button>
</details>
<figure class="plan">
<div class="plan-head"><figcaption id="map-caption">&nbsp;</figcaption>
<p class="legend" aria-hidden="true"><span class="run"></span>computed <span class="reuse"></span>reused</p></div>
<svg id="map" role="img" aria-label="Plan" viewBox="0 0 50 24" preserveAspectRatio="none"></svg>
<p class="axis" aria-hidden="true"><span>noise</span><span>steps</span><span>picture</span></p>
</figure>
</section>`;

const GALLERY = `<section id="gallery" aria-labelledby="gallery-title" hidden>
<div class="gallery-head"><h2 id="gallery-title">Drawn so far</h2><p id="gallery-count" class="hint"></p>
<button type="button" id="save-all">Download all (ZIP)</button>
<button type="button" id="delete-all">Delete all</button></div>
<p id="history-notice" class="notice" role="status"></p>
<ol id="cards"></ol>
<button type="button" id="more-cards" hidden>Show more</button>
<p class="hint">Kept in this browser only. A PNG that was drawn here can be dropped anywhere on this page: it says how it was drawn.</p>
</section>`;

const KEY_DIALOG = `<dialog id="key-dialog" aria-labelledby="key-title">
<form id="key-form">
<h2 id="key-title">Key, please</h2>
<p id="key-why"></p>
<div class="field"><label for="key">API key</label>
<input type="password" id="key" autocomplete="off" spellcheck="false" required></div>
<p class="hint">It stays in this tab and goes to this server only.</p>
<div class="go"><button type="submit" class="primary">Continue</button>
<button type="button" id="key-cancel">Not now</button></div>
</form>
</dialog>`;

function diceIcon(): string {
  return `<svg viewBox="0 0 20 20" aria-hidden="true"><rect x="2" y="2" width="16" height="16" rx="4"/>` +
    [[6.5, 6.5], [13.5, 6.5], [10, 10], [6.5, 13.5], [13.5, 13.5]]
      .map(([x, y]) => `<circle cx="${x}" cy="${y}" r="1.5"/>`).join("") +
    "</svg>";
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
