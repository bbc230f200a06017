/**
 * The drawings as Vega-Lite specifications: pure functions of the data and of the paper that they are
 * drawn on. On the page only the course and the map of topics are drawn so; the others are pictures
 * that a reader saves of lists and tables.
 */

import { CLASSES, SIDES } from "./classes.js";

/** The colour of a name on a paper. @typedef {(name: string) => string} Paper */

/** @param {Element} element that has the colours @returns {Paper} */
export function colours(element) {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}

const WIDTH = 760;
const ROW = 24;

/** As wide as its place on the page, or as a picture is. @param {boolean} picture */
const frame = (picture) => ({
  background: "transparent",
  ...(picture ? { width: WIDTH } : { width: "container", autosize: { type: "fit", contains: "padding" } }),
});

/** @param {Paper} paper */
function config(paper) {
  return {
    aria: false,
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    text: { color: paper("--ink"), fontSize: 12 },
    axis: {
      domain: false,
      ticks: false,
      gridColor: paper("--line"),
      labelColor: paper("--quiet"),
      titleColor: paper("--quiet"),
      labelFontSize: 12,
      labelPadding: 8,
    },
    axisX: { grid: false, domain: true, domainColor: paper("--line"), labelFlush: false },
    legend: { labelColor: paper("--ink"), labelFontSize: 12, symbolType: "square", title: null, orient: "bottom" },
  };
}

/** @param {Paper} paper */
const byClass = (paper) => ({
  domain: CLASSES.map((one) => one.name),
  range: CLASSES.map((one) => paper(`--${one.name}`)),
});

/** @param {Paper} paper */
const bySide = (paper) => ({ domain: SIDES.map((one) => one.label), range: SIDES.map((one) => paper(`--${one.name}`)) });

/** Strangers' text in a drawing: its direction stays its own. @param {string} text */
export const isolated = (text) => `\u2068${text}\u2069`;

/**
 * @typedef {object} Course
 * @property {{time: number, order: number, class: string, edits: number}[]} areas
 * @property {{time: number, until: number, text: string}[]} steps
 * @property {boolean} inUtc whole days
 */

/** Edits by class over time. @param {Course} course @param {"edits" | "share"} kind @param {{picture?: boolean}} [how] */
export const course = ({ areas, steps, inUtc }, kind, { picture = false } = {}) => (/** @type {Paper} */ paper) => {
  const share = kind === "share";
  const time = {
    field: "time",
    type: "temporal",
    scale: { type: inUtc ? "utc" : "time", nice: false },
    axis: { title: null, format: CLOCK, labelOverlap: true, tickCount: { expr: "max(3, floor(width / 110))" } },
  };
  const names = Object.fromEntries(CLASSES.map((one) => [one.name, one.label]));
  const legend = picture ? { labelExpr: `${JSON.stringify(names)}[datum.value]` } : null;
  return {
    ...frame(picture),
    height: picture ? 320 : 230,
    datasets: { areas, steps },
    layer: [
      {
        data: { name: "areas" },
        mark: { type: "area", aria: false, interpolate: "step-after", stroke: paper("--card"), strokeWidth: 0.5 },
        encoding: {
          x: time,
          y: {
            field: "edits",
            type: "quantitative",
            stack: share ? "normalize" : "zero",
            title: null,
            axis: { format: share ? ".0%" : ",d", tickCount: 4, ...(share ? {} : { tickMinStep: 1 }) },
          },
          color: { field: "class", type: "nominal", legend, scale: byClass(paper) },
          order: { field: "order" },
        },
      },
      {
        data: { name: "steps" },
        params: [{ name: "hover", select: { type: "point", on: "pointerover", clear: "pointerout" } }],
        mark: { type: "rect", aria: false, fill: paper("--ink") },
        encoding: {
          x: time,
          x2: { field: "until" },
          tooltip: { field: "text" },
          fillOpacity: { condition: { param: "hover", empty: false, value: 0.14 }, value: 0 },
        },
      },
    ],
    config: config(paper),
  };
};

// 24 hours, as everywhere on the page; each tick in the form of its own size.
const CLOCK = {
  year: "%Y", quarter: "%b %Y", month: "%b %Y", week: "%-d %b", date: "%-d %b",
  hours: "%H:%M", minutes: "%H:%M", seconds: "%H:%M:%S", milliseconds: "%H:%M:%S",
};

/**
 * Ranked lists side by side. @typedef {{label: string, colour: string, rows: {name: string, edits: number}[]}} Ranking
 */

/** @param {Ranking[]} rankings */
export const rankings = (rankings) => (/** @type {Paper} */ paper) => ({
  hconcat: rankings.filter(({ rows }) => rows.length).map(({ label, colour, rows }) => {
    const y = { field: "place", type: "ordinal", axis: null };
    const x = { field: "edits", type: "quantitative", axis: null };
    return {
      title: { text: label, anchor: "start", fontSize: 13, color: paper("--ink") },
      width: WIDTH / rankings.length - 20,
      height: { step: ROW },
      data: { values: rows.map(({ name, edits }, place) => ({ place, edits, name: isolated(name) })) },
      layer: [
        { mark: { type: "bar", color: paper(colour), height: ROW - 4 }, encoding: { y, x } },
        { mark: { type: "text", align: "left", dx: 6, x: 0, limit: WIDTH / rankings.length - 90 }, encoding: { y, text: { field: "name" } } },
        {
          mark: { type: "text", align: "right", dx: -4, x: "width", color: paper("--quiet") },
          encoding: { y, text: { field: "edits", format: ",d" } },
        },
      ],
    };
  }),
  config: config(paper),
});

/** Parts of a whole by side, one row for each name. @param {{name: string, bots: number, humans: number}[]} rows */
export const splits = (rows) => (/** @type {Paper} */ paper) => ({
  width: WIDTH - 220,
  height: { step: ROW },
  data: {
    values: rows.flatMap((row) => SIDES.map(({ name, label }, order) =>
      ({ name: isolated(row.name), side: label, order, edits: row[name] }))),
  },
  mark: { type: "bar", height: ROW - 6 },
  encoding: {
    y: { field: "name", type: "nominal", sort: null, title: null, axis: { labelLimit: 240, labelColor: paper("--ink"), domain: false } },
    x: { field: "edits", type: "quantitative", title: null, axis: { format: ",d", tickCount: 5 } },
    color: { field: "side", scale: bySide(paper) },
    order: { field: "order" },
  },
  config: config(paper),
});

/**
 * Topics where their words put them. @typedef {{id: string, x: number, y: number, edits: number, share: number, label: string, chosen: boolean, text: string}} Spot
 */

const MAP_HEIGHT = 520;

/** From the least to the greatest, with room at both ends. @param {number[]} values */
function extent(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = 0.1 * (most - least || 1);
  return [least - room, most + room];
}

/** Labels in their order, but those that would lie on one before. @param {Spot[]} spots @param {Record<"x" | "y", number[]>} extents */
function legible(spots, { x: [left, right], y: [bottom, top] }) {
  /** @type {{x: number, y: number, half: number}[]} */
  const boxes = [];
  return spots.map((spot) => {
    const half = 3.4 * spot.label.length;
    const x = ((spot.x - left) / (right - left)) * 0.8 * WIDTH;
    const y = ((spot.y - bottom) / (top - bottom)) * MAP_HEIGHT;
    const free = boxes.every((box) => Math.abs(box.x - x) > box.half + half || Math.abs(box.y - y) > 16);
    if (!free && !spot.chosen) return { ...spot, label: "" };
    boxes.push({ x, y, half });
    return { ...spot, label: isolated(spot.label) };
  });
}

/** @param {Spot[]} spots most edits first @param {{picture?: boolean}} [how] */
export const map = (spots, { picture = false } = {}) => (/** @type {Paper} */ paper) => {
  const extents = { x: extent(spots.map((spot) => spot.x)), y: extent(spots.map((spot) => spot.y)) };
  const place = (/** @type {"x" | "y"} */ field) =>
    ({ field, type: "quantitative", axis: null, scale: { domain: extents[field], nice: false } });
  const text = (/** @type {object} */ look) => ({
    mark: { type: "text", aria: false, limit: 190, fontSize: 12.5, cursor: "pointer", ...look },
    encoding: { text: { field: "label" }, tooltip: { field: "text" } },
  });
  return {
    ...frame(picture),
    height: MAP_HEIGHT,
    datasets: { spots: legible(spots, extents) },
    data: { name: "spots" },
    encoding: { x: place("x"), y: place("y") },
    layer: [
      {
        mark: { type: "circle", aria: false, opacity: 0.85, cursor: "pointer" },
        encoding: {
          size: { field: "edits", type: "quantitative", legend: null, scale: { type: "sqrt", range: [60, 1800], zero: true } },
          color: {
            field: "share",
            type: "quantitative",
            scale: { domain: [0, 1], range: [paper("--humans"), paper("--line"), paper("--bots")], interpolate: "rgb" },
            legend: picture ? { format: ".0%" } : null,
          },
          stroke: { condition: { test: "datum.chosen", value: paper("--ink") }, value: paper("--card") },
          strokeWidth: { condition: { test: "datum.chosen", value: 2.5 }, value: 1 },
          tooltip: { field: "text" },
        },
      },
      text({ stroke: paper("--card"), strokeWidth: 4, strokeJoin: "round", opacity: 0.85 }),
      text({}),
    ],
    config: config(paper),
  };
};

/** One bar: the parts of the classes. @param {{name: string, label: string, edits: number}[]} rows */
export const parts = (rows) => (/** @type {Paper} */ paper) => ({
  width: WIDTH,
  height: 70,
  data: { values: rows.map((row, order) => ({ ...row, order })) },
  mark: "bar",
  encoding: {
    x: { field: "edits", type: "quantitative", stack: "normalize", title: null, axis: { format: ".0%" } },
    color: {
      field: "label",
      sort: null,
      scale: { domain: rows.map((row) => row.label), range: rows.map((row) => paper(`--${row.name}`)) },
    },
    order: { field: "order" },
  },
  config: config(paper),
});

/** Flag against name. @param {{row: string, column: string, edits: number, text: string}[]} cells */
export const matrix = (cells) => (/** @type {Paper} */ paper) => ({
  width: 480,
  height: 200,
  data: { values: cells },
  encoding: {
    x: { field: "column", type: "nominal", sort: null, title: null, axis: { orient: "top", labelAngle: 0, domain: false } },
    y: { field: "row", type: "nominal", sort: null, title: null },
  },
  layer: [
    {
      mark: { type: "rect", stroke: paper("--card"), strokeWidth: 4 },
      encoding: { color: { field: "edits", type: "quantitative", legend: null, scale: { range: [paper("--bots-tint"), paper("--name-bot")] } } },
    },
    { mark: { type: "text", fontSize: 14 }, encoding: { text: { field: "text" } } },
  ],
  config: config(paper),
});

/** Steps as bars by when they ran. @param {{name: string, start: number, end: number, text: string}[]} steps in seconds from the run's start */
export const timeline = (steps) => (/** @type {Paper} */ paper) => ({
  width: WIDTH - 160,
  height: { step: ROW },
  data: { values: steps },
  encoding: { y: { field: "name", type: "nominal", sort: null, title: null, axis: { labelColor: paper("--ink"), domain: false } } },
  layer: [
    {
      mark: { type: "bar", color: paper("--bots"), height: ROW - 8, minBandSize: 2 },
      encoding: { x: { field: "start", type: "quantitative", title: "s", axis: { tickCount: 6 } }, x2: { field: "end" } },
    },
    { mark: { type: "text", align: "left", dx: 6 }, encoding: { x: { field: "end", type: "quantitative" }, text: { field: "text" } } },
  ],
  config: config(paper),
});
