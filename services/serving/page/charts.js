/**
 * The chart of the course, by Vega-Lite. The bundle is loaded only after the numbers are on the page.
 * Expressions are interpreted (`ast`), so nothing is evaluated and the page needs no `unsafe-eval`;
 * Vega's own styles, menu and tooltips stay off, because they would be written as markup.
 *
 * A chart is embedded once; after that its data is exchanged in place. It is embedded anew only when
 * its form changes (edits or share) or the colours do (light or dark).
 */

import { CLASSES } from "./classes.js";
import { find } from "./dom.js";

/**
 * @typedef {object} Course
 * @property {{time: number, order: number, class: string, edits: number}[]} areas
 * @property {{time: number, until: number, text: string}[]} steps
 */

/** @type {{form: string, view: any} | null} */
let drawn = null;
/** @type {Promise<any> | null} */
let loading = null;

// Vega empties the chart's place by markup, and that is all the markup there may ever be. With
// this, the page also runs under `require-trusted-types-for 'script'; trusted-types default`.
const { trustedTypes } = /** @type {any} */ (window);
trustedTypes?.createPolicy("default", { createHTML: (/** @type {string} */ text) => (text === "" ? "" : null) });

const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * @param {HTMLElement} element
 * @param {Course} course
 * @param {"edits" | "share"} kind
 */
export async function draw(element, course, kind) {
  const form = `${kind} ${dark.matches}`;
  if (drawn?.form === form) {
    await drawn.view.data("areas", course.areas).data("steps", course.steps).runAsync();
    return;
  }
  loading ??= import("./vega.js");
  const { vegaEmbed } = await loading.catch((error) => {
    loading = null;
    throw error;
  });
  drawn?.view.finalize();
  const { view } = await vegaEmbed(element, specification(course, kind), {
    mode: "vega-lite",
    renderer: "svg",
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: tip,
  });
  drawn = { form, view };
}

/** Called when colours may have changed. @param {() => void} again */
export function onColours(again) {
  dark.addEventListener("change", again);
}

/** @param {Course} course @param {"edits" | "share"} kind */
function specification(course, kind) {
  const colour = colours();
  const share = kind === "share";
  return {
    width: "container",
    height: 250,
    autosize: { type: "fit", contains: "padding" },
    background: "transparent",
    datasets: { areas: course.areas, steps: course.steps },
    layer: [
      {
        data: { name: "areas" },
        mark: { type: "area", interpolate: "step-after", stroke: colour("--card"), strokeWidth: 0.5 },
        encoding: {
          x: time(),
          y: {
            field: "edits",
            type: "quantitative",
            stack: share ? "normalize" : "zero",
            title: null,
            axis: { format: share ? ".0%" : ",d", tickCount: 4, ...(share ? {} : { tickMinStep: 1 }) },
          },
          color: {
            field: "class",
            type: "nominal",
            legend: null,
            scale: {
              domain: CLASSES.map((one) => one.name),
              range: CLASSES.map((one) => colour(`--${one.name}`)),
            },
          },
          order: { field: "order" },
        },
      },
      {
        data: { name: "steps" },
        params: [{ name: "hover", select: { type: "point", on: "pointerover", clear: "pointerout" } }],
        mark: { type: "rect", fill: colour("--ink") },
        encoding: {
          x: time(),
          x2: { field: "until" },
          tooltip: { field: "text" },
          fillOpacity: { condition: { param: "hover", empty: false, value: 0.14 }, value: 0 },
        },
      },
    ],
    config: {
      aria: false,
      font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null },
      axis: {
        domain: false,
        ticks: false,
        gridColor: colour("--line"),
        labelColor: colour("--quiet"),
        labelFontSize: 12,
        labelPadding: 8,
      },
      axisX: { grid: false, domain: true, domainColor: colour("--line"), labelFlush: false },
    },
  };
}

const time = () => ({
  field: "time",
  type: "temporal",
  scale: { type: "utc", nice: false },
  axis: { title: null, format: CLOCK, labelOverlap: true, tickCount: { expr: "max(3, floor(width / 110))" } },
});

// 24 hours, as everywhere on the page; each tick in the form of its own size.
const CLOCK = {
  year: "%Y", quarter: "%b %Y", month: "%b %Y", week: "%-d %b", date: "%-d %b",
  hours: "%H:%M", minutes: "%H:%M", seconds: "%H:%M:%S", milliseconds: "%H:%M:%S",
};

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (/** @type {string} */ name) => style.getPropertyValue(name).trim();
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
