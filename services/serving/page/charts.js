/**
 * Draws specifications with Vega, and is alone in knowing it. The bundle is loaded once. Expressions are
 * interpreted (`ast`), so nothing is evaluated and the page needs no `unsafe-eval`; Vega's own styles,
 * menu and tooltips stay off, because they would be written as markup.
 *
 * A chart is embedded once; after that its data is exchanged in place. It is embedded anew only when
 * its form or the colours change.
 */

import { find } from "./dom.js";
import { vegaLocale } from "./format.js";
import { colours } from "./specs.js";

/** @type {Map<HTMLElement, {form: string, view: any}>} */
const drawn = new Map();
/** @type {Promise<any> | null} */
let loading = null;

// Vega empties the chart's place by markup, and that is all the markup there may ever be. With
// this, the page also runs under `require-trusted-types-for 'script'; trusted-types default`.
const { trustedTypes } = /** @type {any} */ (window);
trustedTypes?.createPolicy("default", { createHTML: (/** @type {string} */ text) => (text === "" ? "" : null) });

const dark = matchMedia("(prefers-color-scheme: dark)");

const OPTIONS = {
  mode: "vega-lite",
  renderer: "svg",
  ast: true,
  actions: false,
  defaultStyle: false,
  ...vegaLocale,
};

/** @param {HTMLElement} element @param {object} specification @returns {Promise<any>} the view */
async function embed(element, specification) {
  loading ??= import("./vega.js");
  const { vegaEmbed } = await loading.catch((error) => {
    loading = null;
    throw error;
  });
  const { view } = await vegaEmbed(element, specification, { ...OPTIONS, tooltip: tip });
  return view;
}

/**
 * @param {HTMLElement} element
 * @param {string} form the same while only the data differs
 * @param {(paper: import("./specs.js").Paper) => any} specification with the data as named datasets
 * @param {(view: any) => void} [wire] listeners of a new view
 */
export async function draw(element, form, specification, wire = () => {}) {
  const wanted = `${form} ${dark.matches}`;
  const made = specification(colours(document.documentElement));
  const old = drawn.get(element);
  if (old?.form === wanted) {
    for (const [name, rows] of Object.entries(made.datasets)) old.view.data(name, rows);
    await old.view.runAsync();
    return;
  }
  const view = await embed(element, made);
  old?.view.finalize();
  drawn.set(element, { form: wanted, view });
  wire(view);
}

/**
 * A picture of a figure on white paper, with its title.
 * @param {import("./figures.js").Figure} figure @param {"svg" | "png"} kind @returns {Promise<Blob>}
 */
export async function picture({ title, covers, specification }, kind) {
  const paper = colours(find("#paper"));
  const made = {
    ...specification(paper),
    background: paper("--card"),
    padding: 24,
    title: { text: title, subtitle: `${covers} · Bots vs Wiki`, anchor: "start", offset: 18, fontSize: 18, color: paper("--ink"), subtitleColor: paper("--quiet") },
  };
  const view = await embed(document.createElement("div"), made);
  try {
    if (kind === "svg") return new Blob([await view.toSVG()], { type: "image/svg+xml" });
    const canvas = await view.toCanvas(2);
    return await new Promise((done) => canvas.toBlob(done, "image/png"));
  } finally {
    view.finalize();
  }
}

/** Called when colours may have changed. @param {() => void} again */
export function onColours(again) {
  dark.addEventListener("change", again);
}

/** Text beside the pointer. @param {any} _ @param {MouseEvent} event @param {any} __ @param {unknown} value */
function tip(_, event, __, value) {
  const box = find("#tip");
  box.hidden = value === null || value === undefined || value === "";
  if (box.hidden) return;
  box.textContent = String(value);
  const right = event.clientX + 16 + box.offsetWidth > document.documentElement.clientWidth;
  box.style.left = `${event.clientX + (right ? -12 - box.offsetWidth : 16)}px`;
  box.style.top = `${event.clientY + 16}px`;
}
