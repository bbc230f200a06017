/** The batch layer's newest run as a graph: its steps in their order, when each ran and how long it took. */

import { find, follow, h, say, tell } from "./dom.js";
import * as figures from "./figures.js";
import * as format from "./format.js";
import * as specs from "./specs.js";
import { parts, t } from "./strings.js";

/** @param {any[]} runs newest first @param {number} now ms */
export function draw(runs, now) {
  const [run] = runs;
  find("#runs").hidden = !run;
  tell(find("#runs-note"), run ? noteOf(run, runs, now) : [t("runs.none")]);
  if (!run) return;
  const rows = stepsOf(run, now);
  const whole = Math.max(0.001, ...rows.map((row) => row.end));
  follow(find("#runs"), rows, (row) => row.name, make, (element, row) => fill(element, row, whole));
  figures.offer(find("#runs-data"), {
    name: "batch-runs",
    title: t("runs.title"),
    covers: find("#runs-note").textContent,
    columns: [
      { label: t("data.step") },
      { label: t("data.began"), show: (iso) => format.dayAndClock(Date.parse(iso)) },
      { label: t("data.generation") },
      { label: t("data.state") },
      { label: t("data.seconds"), show: format.decimal },
      { label: t("data.rows-in"), show: format.count },
      { label: t("data.rows-out"), show: format.count },
    ],
    rows: runs.flatMap((one) => one.steps.map((/** @type {any} */ step) =>
      [stepName(step.name), step.started_at, one.generation ?? "", stateName(step.state), step.seconds, step.rows_in, step.rows_out])),
    specification: specs.timeline(rows.map((row) => ({ name: stepName(row.name), start: row.start, end: row.end, text: row.text }))),
  });
}

/** @param {any} run @param {number} now */
function stepsOf(run, now) {
  const began = Date.parse(run.started_at);
  return run.steps.map((/** @type {any} */ step) => {
    const start = Math.max(0, (Date.parse(step.started_at) - began) / 1000);
    const took = step.state === "running" ? Math.max(step.seconds, (now - Date.parse(step.started_at)) / 1000) : step.seconds;
    const rows = step.rows_in || step.rows_out
      ? t("runs.rows", { into: format.count(step.rows_in), out: format.count(step.rows_out) })
      : stateName(step.state);
    return { ...step, start, end: start + took, text: `${format.seconds(took)} · ${rows}` };
  });
}

/** @param {any} row */
function make(row) {
  return h("li", {},
    h("span", { class: "node" }, h("i", { class: "lamp" }), h("span", {}, stepName(row.name))),
    h("span", { class: "track", "aria-hidden": "true" }, h("i", {})),
    h("span", { class: "took" }));
}

/** @param {HTMLElement} element @param {any} row @param {number} whole seconds of the run so far */
function fill(element, row, whole) {
  element.dataset.state = row.state;
  element.title = row.error || t(`step.${known(row.name)}.meaning`);
  const bar = find(".track i", element);
  bar.style.left = `${(100 * row.start) / whole}%`;
  bar.style.width = `${(100 * (row.end - row.start)) / whole}%`;
  say(find(".took", element), row.error ? `${stateName(row.state)}: ${row.error}` : row.text);
}

/** @param {any} run @param {any[]} runs @param {number} now */
function noteOf(run, runs, now) {
  const began = Date.parse(run.started_at);
  const said = parts(`runs.${ending(run)}`, {
    when: format.when(began, format.ago(began, now)),
    took: format.seconds((Date.parse(run.ended_at ?? run.started_at) - began) / 1000),
    generation: format.count(run.generation ?? 0),
  });
  return [...said, " ", t("runs.kept", { runs: format.count(runs.length) }, runs.length)];
}

/** @param {any} run */
function ending(run) {
  if (run.state === "running") return "running";
  if (run.state !== "done") return "failed";
  return run.generation === null ? "idle" : "done";
}

const STEPS = ["ingest", "define", "clean", "count", "renew", "topics", "publish", "compact", "expire"];
/** @param {string} name */
const known = (name) => (STEPS.includes(name) ? name : "other");
/** @param {string} name */
const stepName = (name) => (STEPS.includes(name) ? t(`step.${name}`) : name);
/** @param {string} state */
const stateName = (state) => (["running", "done", "failed", "skipped", "waiting"].includes(state) ? t(`state.${state}`) : state);
