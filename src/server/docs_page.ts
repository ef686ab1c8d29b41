/**
 * `/docs`: what the OpenAPI document says, to be read.
 *
 * The page is whole without a script, so it is wherever the package is. Where a build of the page has the viewer,
 * Swagger UI takes its place, in which routes can be tried. The viewer is not in the package: of what was compared
 * it is the best kept and the only one that works without inline styles, but half a megabyte compressed.
 */

import type { Field, OpenApiDocument } from "./openapi.ts";

/** Folder of the viewer's files in a build of the page; the version is in its name. */
export const VIEWER_FOLDER = "swagger-ui-5.35.0/";

/** The viewer's script: where it is, the whole viewer is. */
export const VIEWER_SCRIPT = `${VIEWER_FOLDER}swagger-ui-bundle.js`;

/** The page. */
export function renderDocs(
  document: OpenApiDocument,
  { viewer }: { readonly viewer: boolean },
): string {
  const { info: { title, version }, tags } = document;
  const groups = tags.map(({ name, description }) => {
    return `<h2>${escaped(name)}</h2><p>${escaped(description)}</p>${groupOf(document, name)}`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} API</title>
<link rel="icon" href="page/icon.svg">
${viewer ? `<link rel="stylesheet" href="page/${VIEWER_FOLDER}swagger-ui.css">` : ""}
<link rel="stylesheet" href="page/docs.css">
${viewer ? `<script src="page/${VIEWER_SCRIPT}" defer></script>` : ""}
${viewer ? `<script src="page/docs.js" defer></script>` : ""}
</head>
<body>
<header><h1>${escaped(title)} API</h1>
<nav><a href="./">Draw</a> · <a href="openapi.json">openapi.json</a> · ${escaped(version)}</nav>
</header>
<main id="docs">${groups.join("\n")}</main>
</body>
</html>
`;
}

/** Shows the viewer in the place of what was there; nothing is asked of another host. */
export const DOCS_SCRIPT = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
});
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
`;

export const DOCS_STYLE = `:root { color-scheme: light dark; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
header { padding: 1rem; }
header h1 { margin: 0; font-size: 1.5rem; }
main { padding: 0 1rem 2rem; overflow-x: auto; }
main > section { max-width: 60rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { main { padding: 0; } .swagger-ui .wrapper { padding: 0 .5rem; } }
dl { margin: 0 0 0 1rem; }
dt { font-family: ui-monospace, monospace; }
dd { margin: 0 0 .25rem 1rem; }
a { color: light-dark(#0b57d0, #9ec2ff); }
`;

function groupOf({ paths, components }: OpenApiDocument, tag: string): string {
  const sections = Object.entries(paths).flatMap(([path, methods]) => {
    return Object.entries(methods).map(([method, operation]) => ({ path, method, operation }));
  }).filter(({ operation }) => operation.tags.includes(tag));
  return sections.map(({ path, method, operation }) => {
    const { operationId, summary, parameters = [], requestBody, responses } = operation;
    const [sent] = Object.values(requestBody?.content ?? {});
    const name = sent?.schema.$ref?.split("/").at(-1);
    const fields = Object.entries(components.schemas[name ?? ""]?.properties ?? {});
    const named = parameters.map((field): [string, Field] => [field.name, field]);
    const types = Object.entries(responses).filter(([status]) => status !== "default")
      .map(([status, { content }]) => `${status} ${Object.keys(content).join(", ")}`);
    return `<section id="${escaped(operationId)}">
<h3><code>${escaped(`${method.toUpperCase()} ${path}`)}</code></h3>
<p>${escaped(summary)}. Answers ${escaped(types.join("; "))}.</p>
${listOf([...named, ...fields])}</section>`;
  }).join("\n");
}

function listOf(fields: readonly (readonly [string, Field])[]): string {
  if (fields.length === 0) return "";
  const lines = fields.map(([name, { description = "" }]) => {
    return `<dt>${escaped(name)}</dt><dd>${escaped(description)}</dd>`;
  });
  return `<dl>${lines.join("\n")}</dl>`;
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
