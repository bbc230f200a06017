/** How much is done by bots: one sentence, a bar by class, and its course. */

import * as charts from "./charts.js";
import { BY_NAME, CLASSES } from "./classes.js";
import { find, follow, h, say, tell } from "./dom.js";
import * as figures from "./figures.js";
import * as format from "./format.js";
import { stepOf, trimmed } from "./span.js";
import * as specs from "./specs.js";
import { parts, t } from "./strings.js";

/** @typedef {import("./parts.js").Asked} Asked */

const DAY = 86_400_000;

/** @param {any} answer of /v1/share by class @returns {any[]} groups in the page's order */
function groups(answer) {
  const named = new Map(answer.groups.map((/** @type {any} */ group) => [group.name, group]));
  const none = { edits: 0, share: 0, net_bytes: 0, new_pages: 0, minor: 0 };
  return CLASSES.map((one) => ({ ...none, ...named.get(one.name), ...one }));
}

/** @param {any} answer @param {Asked} asked */
export function drawShare(answer, asked) {
  const rows = groups(answer);
  const bots = rows.filter((row) => row.side === "bots").reduce((sum, row) => sum + row.edits, 0);
  sentence(bots, answer.edits);
  tell(find("#covers"), [`${asked.place} · `, format.spanned(asked.span.start, asked.span.end)]);
  bar(find("#bar"), rows);
  legend(rows);
  figures.offer(find("#share > .data"), {
    name: "share",
    title: find("#sentence").textContent,
    covers: asked.covers,
    columns: [
      { label: t("data.class") },
      { label: t("data.edits"), show: format.count },
      { label: t("data.share"), show: format.percent },
      { label: t("data.net-bytes"), show: format.signed },
      { label: t("data.new-pages"), show: format.count },
      { label: t("data.minor"), show: format.count },
    ],
    rows: rows.map((row) => [row.label, row.edits, row.share, row.net_bytes, row.new_pages, row.minor]),
    specification: specs.parts(rows),
  });
  const part = answer.edits ? `${t("share.short", { share: format.percent(bots / answer.edits) })} · ` : "";
  document.title = `${part}Bots vs Wiki`;
}

/** @param {number} bots @param {number} edits */
function sentence(bots, edits) {
  const values = { share: h("strong", {}, edits ? format.percent(bots / edits) : ""), edits: h("b", {}, format.count(edits)) };
  tell(find("#sentence"), edits
    ? parts("share.sentence", values, edits)
    : [h("span", { class: "plain" }, t("share.none"))]);
}

/**
 * A bar of the parts of the classes.
 * @template {{name: string, edits: number}} T
 * @param {Element} element @param {T[]} rows @param {(part: HTMLElement, row: T) => void} [fill]
 */
export function bar(element, rows, fill = () => {}) {
  follow(
    element,
    rows.filter((row) => row.edits),
    (row) => row.name,
    (row) => h("span", { class: `part ${row.name}` }),
    (part, row) => {
      part.style.flexGrow = String(row.edits);
      fill(part, row);
    },
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

/** @param {any} answer @param {Asked} asked */
export async function drawCourse(answer, asked) {
  const step = stepOf(answer.granularity);
  const course = trimmed(answer.course);
  const unit = { minutely: "minute", hourly: "hour", daily: "day" }[answer.granularity] ?? "month";
  find("#course-chart").classList.toggle("nothing", course.length === 0);
  tell(find("#course-note"), noteOf(course, unit));
  const times = course.map((/** @type {any} */ one) => Date.parse(one.timestamp));
  const drawn = course.length ? shaped(course, times, step) : { areas: [], steps: [], inUtc: true };
  const kind = asked.state.course;
  figures.offer(find("#course > .data"), {
    name: "course",
    title: t(`course.by-${unit}`),
    covers: asked.covers,
    columns: [
      { label: t("data.from"), show: (iso) => stamp(Date.parse(iso), step) },
      ...CLASSES.map((one) => ({ label: one.label, show: format.count })),
    ],
    rows: course.map((one) => [one.timestamp, ...CLASSES.map(({ name }) => one.edits[name] ?? 0)]),
    specification: specs.course(drawn, kind, { picture: true }),
  });
  if (course.length) await charts.draw(find("#course-chart"), `${kind} ${drawn.inUtc}`, specs.course(drawn, kind));
}

/** @param {number} time @param {number} step */
const stamp = (time, step) => (step < DAY ? `${format.ownDay(time)}, ${format.minute(time)}` : `${format.shortDay(time)} (UTC)`);

/** @param {any[]} course @param {string} unit @returns {(Node | string)[]} */
function noteOf(course, unit) {
  if (!course.length) return [t("share.none")];
  const sum = (/** @type {any} */ one) => Object.values(one.edits).reduce((a, b) => a + b, 0);
  const most = course.reduce((best, one) => (sum(one) > sum(best) ? one : best));
  const at = Date.parse(most.timestamp);
  const text = unit === "day" || unit === "month" ? format.day(at) : format.minute(at);
  const values = { when: format.when(at, text), edits: format.count(sum(most)) };
  return [t(`course.by-${unit}`), ". ", ...parts(`course.busiest-${unit}`, values, sum(most))];
}

/**
 * The rows that the chart draws. A step lasts until the next begins, so the last one is closed by a
 * row of its own.
 * @param {any[]} course @param {number[]} times @param {number} step @returns {specs.Course}
 */
function shaped(course, times, step) {
  const row = (/** @type {any} */ edits, /** @type {number} */ time) =>
    CLASSES.map((one, order) => ({ time, order, class: one.name, edits: edits[one.name] ?? 0 }));
  const last = course.length - 1;
  const called = (/** @type {number} */ time) =>
    step < DAY ? `${format.span(time, time + step)}\n${format.inUtc(time)}` : `${format.day(time)} (UTC)`;
  return {
    areas: [...course.flatMap((one, place) => row(one.edits, times[place])), ...row(course[last].edits, times[last] + step)],
    steps: course.map((one, place) => ({
      time: times[place],
      until: times[place] + step,
      text: [called(times[place]), ...lines(one.edits)].join("\n"),
    })),
    inUtc: step >= DAY,
  };
}

/** @param {Record<string, number>} edits */
function lines(edits) {
  return CLASSES.map(({ name }) => `${BY_NAME.get(name)?.label}: ${format.count(edits[name] ?? 0)}`);
}
