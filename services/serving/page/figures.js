/**
 * The data behind a drawing: as a table, as CSV, and as a picture (SVG or PNG) that stands on its own,
 * with its title and what it covers. It lies folded under the drawing and is made when it is opened.
 */

import { find, h, say } from "./dom.js";
import { t } from "./strings.js";

/**
 * A column: what its cells are and how the table shows them. CSV has them as they are.
 * @typedef {{label: string, show?: (value: any) => string}} Column
 */

/**
 * @typedef {object} Figure
 * @property {string} name of the file, without its ending
 * @property {string} title
 * @property {string} covers where and when: what a reader of the picture must know
 * @property {Column[]} columns
 * @property {(string | number)[][]} rows
 * @property {(paper: import("./specs.js").Paper) => object} specification in Vega-Lite
 */

/** @type {WeakMap<HTMLDetailsElement, Figure>} */
const figures = new WeakMap();
/** @type {WeakMap<HTMLDetailsElement, string>} */
const shown = new WeakMap();

/** @param {HTMLDetailsElement} details @param {Figure} figure */
export function offer(details, figure) {
  if (!details.firstChild) prepare(details);
  details.hidden = figure.rows.length === 0;
  figures.set(details, figure);
  fill(details);
}

/** @param {HTMLDetailsElement} details */
function prepare(details) {
  const save = (/** @type {string} */ kind, /** @type {(figure: Figure) => Promise<Blob> | Blob} */ make) => {
    const button = h("button", { type: "button", class: "button small", "data-save": kind }, kind.toUpperCase());
    button.addEventListener("click", () => keep(details, kind, make));
    return button;
  };
  details.append(
    h("summary", {}, t("data.title")),
    h("div", { class: "actions", role: "group", "aria-label": t("data.download") },
      h("span", {}, t("data.download")), save("csv", csv), save("svg", picture("svg")), save("png", picture("png")),
      h("span", { class: "problem", role: "status", hidden: "" })),
  );
  details.addEventListener("toggle", () => fill(details));
}

/** @param {HTMLDetailsElement} details */
function fill(details) {
  const figure = figures.get(details);
  if (!details.open || !figure) return;
  const { columns, rows, title } = figure;
  const key = JSON.stringify([columns, rows]);
  if (shown.get(details) === key) return;
  shown.set(details, key);
  const cell = (/** @type {string | number} */ value, /** @type {number} */ at) => {
    const text = columns[at].show?.(value) ?? String(value);
    return at ? h("td", {}, h("bdi", {}, text)) : h("th", { scope: "row" }, h("bdi", {}, text));
  };
  const table = h(
    "table",
    { class: "numbers" },
    h("caption", { class: "unseen" }, title),
    h("thead", {}, h("tr", {}, ...columns.map(({ label }) => h("th", { scope: "col" }, label)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell)))),
  );
  const old = details.querySelector(".scroll");
  const frame = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, table);
  if (old) old.replaceChildren(table);
  else details.append(frame);
}

/** @param {HTMLDetailsElement} details @param {string} kind @param {(figure: Figure) => Promise<Blob> | Blob} make */
async function keep(details, kind, make) {
  const figure = figures.get(details);
  const problem = find(".problem", details);
  if (!figure) return;
  try {
    const address = URL.createObjectURL(await make(figure));
    h("a", { href: address, download: `bots-vs-wiki-${figure.name}.${kind}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    problem.hidden = true;
  } catch (error) {
    problem.hidden = false;
    say(problem, t("data.failed", { why: error instanceof Error ? error.message : String(error) }));
  }
}

// A spreadsheet reads a cell that begins so as a formula; an apostrophe makes it text again.
const FORMULA = /^[=+\-@\t\r]/;

/** @param {Figure} figure */
export function csv({ columns, rows }) {
  const cell = (/** @type {string | number} */ value) => {
    if (typeof value === "number") return String(value);
    const safe = FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = [columns.map(({ label }) => label), ...rows].map((line) => line.map(cell).join(","));
  return new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv;charset=utf-8" });
}

/** @param {"svg" | "png"} kind */
function picture(kind) {
  return async (/** @type {Figure} */ figure) => {
    const charts = await import("./charts.js");
    return charts.picture(figure, kind);
  };
}
