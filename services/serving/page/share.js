/** How much is done by bots: one sentence, a bar by class, and its course. */

import * as charts from "./charts.js";
import { BY_NAME, CLASSES } from "./classes.js";
import { find, follow, h, say, table } from "./dom.js";
import * as format from "./format.js";
import { stepOf, trimmed } from "./span.js";

/** @param {any} answer of /v1/share by class @returns {any[]} groups in the page's order */
function groups(answer) {
  const named = new Map(answer.groups.map((/** @type {any} */ group) => [group.name, group]));
  const none = { edits: 0, share: 0, net_bytes: 0, new_pages: 0, minor: 0 };
  return CLASSES.map((one) => ({ ...none, ...named.get(one.name), ...one }));
}

/** @param {any} answer @param {import("./parts.js").Asked} asked */
export function drawShare(answer, asked) {
  const rows = groups(answer);
  const bots = rows.filter((row) => row.side === "bots").reduce((sum, row) => sum + row.edits, 0);
  const where = asked.state.project === "all-projects" ? "all projects" : asked.state.project;
  sentence(bots, answer.edits);
  say(find("#covers"), `${where} · ${format.span(asked.span.start, asked.span.end)}`);
  bar(rows);
  legend(rows);
  table(
    find("#share-table"),
    "Edits by class of editor",
    ["Class", "Edits", "Share", "Net bytes", "New pages", "Minor edits"],
    () => rows.map((row) => [
      row.label,
      format.count(row.edits),
      format.percent(row.share),
      format.signed(row.net_bytes),
      format.count(row.new_pages),
      format.count(row.minor),
    ]),
  );
  const part = answer.edits ? `${format.percent(bots / answer.edits)} bots · ` : "";
  document.title = `${part}Bots vs Wiki`;
}

/** @param {number} bots @param {number} edits */
function sentence(bots, edits) {
  const element = find("#sentence");
  const parts = edits
    ? [format.percent(bots / edits), " of ", format.count(edits), edits === 1 ? " edit was made by bots" : " edits were made by bots"]
    : ["No edits", " here in this span", "", ". Choose another span or project."];
  if (!element.querySelector("strong")) {
    element.replaceChildren(h("strong", {}), "", h("b", {}), "");
  }
  [...element.childNodes].forEach((/** @type {any} */ node, place) => {
    if (node.textContent !== parts[place]) node.textContent = parts[place];
  });
}

/** @param {any[]} rows */
function bar(rows) {
  follow(
    find("#bar"),
    rows.filter((row) => row.edits),
    (row) => row.name,
    (row) => h("span", { class: `part ${row.name}` }),
    (element, row) => { element.style.flexGrow = String(row.edits); },
  );
}

/** @param {any[]} rows */
function legend(rows) {
  const make = (/** @type {any} */ row) =>
    h(
      "li",
      {},
      h("i", { class: `dot ${row.name}` }),
      h("span", { class: "label" }, row.label),
      h("span", { class: "value" }),
      h("span", { class: "meaning" }, row.meaning),
    );
  follow(find("#legend"), rows, (row) => row.name, make, (element, row) => {
    say(find(".value", element), `${format.count(row.edits)} · ${format.percent(row.share)}`);
  });
}

/** @param {any} answer @param {import("./parts.js").Asked} asked */
export async function drawCourse(answer, asked) {
  const step = stepOf(answer.granularity);
  const course = trimmed(answer.course);
  const unit = { minutely: "minute", hourly: "hour", daily: "day" }[answer.granularity] ?? "month";
  find("#course-chart").classList.toggle("nothing", course.length === 0);
  say(find("#course-note"), noteOf(course, unit));
  const times = course.map((/** @type {any} */ one) => Date.parse(one.timestamp));
  const called = (/** @type {number} */ time) => (step < 86_400_000 ? format.span(time, time + step) : format.day(time));
  table(
    find("#course-table"),
    `Edits by ${unit}`,
    ["From (UTC)", ...CLASSES.map((one) => one.label)],
    () => course.map((one, place) => [
      stamp(times[place], step),
      ...CLASSES.map(({ name }) => format.count(one.edits[name] ?? 0)),
    ]),
  );
  if (!course.length) return;
  await charts.draw(find("#course-chart"), shaped(course, times, step, called), asked.state.course);
}

/** @param {number} time @param {number} step */
function stamp(time, step) {
  return step < 86_400_000 ? `${format.shortDay(time)}, ${format.minute(time)}` : format.shortDay(time);
}

/** @param {any[]} course @param {string} unit */
function noteOf(course, unit) {
  if (!course.length) return "No edits here in this span.";
  const sum = (/** @type {any} */ one) => Object.values(one.edits).reduce((a, b) => a + b, 0);
  const most = course.reduce((best, one) => (sum(one) > sum(best) ? one : best));
  const at = Date.parse(most.timestamp);
  const when = unit === "day" || unit === "month" ? `on ${format.day(at)}` : `from ${format.minute(at)}`;
  return `Edits by ${unit}. The busiest ${unit} was ${when} UTC: ${format.plural(sum(most), "edit")}.`;
}

/**
 * The rows that the chart draws. A step lasts until the next begins, so the last one is closed by a
 * row of its own.
 * @param {any[]} course @param {number[]} times @param {number} step @param {(time: number) => string} called
 */
function shaped(course, times, step, called) {
  const row = (/** @type {any} */ edits, /** @type {number} */ time) =>
    CLASSES.map((one, order) => ({ time, order, class: one.name, edits: edits[one.name] ?? 0 }));
  const last = course.length - 1;
  return {
    areas: [...course.flatMap((one, place) => row(one.edits, times[place])), ...row(course[last].edits, times[last] + step)],
    steps: course.map((one, place) => ({
      time: times[place],
      until: times[place] + step,
      text: [called(times[place]), ...lines(one.edits)].join("\n"),
    })),
  };
}

/** @param {Record<string, number>} edits */
function lines(edits) {
  return CLASSES.map(({ name }) => `${BY_NAME.get(name)?.label}: ${format.count(edits[name] ?? 0)}`);
}
