/** What the numbers stand on, in words; and the audit that proves them. */

import * as api from "./api.js";
import { find, follow, h, say } from "./dom.js";
import * as format from "./format.js";

const KINDS = /** @type {Record<string, string>} */ ({
  live: "Live: Wikimedia’s stream of changes",
  recording: "Recording: real changes from an earlier time",
  simulated: "Simulated: these edits are made up, for trying things out",
});

const BEHIND = 5; // seconds from which a reader is told that the live layer is catching up

/** @param {any} source of /v1/status */
export function drawSource(source) {
  const element = find("#source");
  element.dataset.kind = source.kind;
  const what = KINDS[source.kind] ?? source.kind;
  if (!element.querySelector("b")) element.replaceChildren(h("b", {}), h("span", {}));
  say(element.firstChild, what);
  say(element.lastChild, source.description || source.name);
}

/** @param {any} status @param {any} meta of the share @param {any[]} runs */
export function drawFreshness(status, meta, runs) {
  const now = Date.parse(status.now);
  const until = Date.parse(meta.as_of_time);
  const partial = meta.completeness !== "exact";
  const element = find("#freshness");
  element.dataset.completeness = meta.completeness;
  if (!element.querySelector("span.said")) {
    element.replaceChildren(h("i", { class: "lamp" }), h("span", { class: "said" }), " ", h("a", { href: "#proof" }, "How sure is this?"));
  }
  const parts = [
    partial ? `Partial: ${meta.reasons.join("; ")}` : upTo(status, until, now),
    batch(runs, now),
  ];
  say(find(".said", element), parts.filter(Boolean).join(" · "));
  drawStanding(status, meta, runs, now);
}

/** @param {any} status @param {number} until @param {number} now */
function upTo(status, until, now) {
  if (until <= 0) return "Exact: nothing has come in yet";
  if (status.source.kind === "recording" && status.caught_up) return "Exact: everything that was read is counted";
  const said = `Exact up to ${format.clock(until)} UTC, ${format.ago(until, now)}`;
  return status.speed_lag_seconds < BEHIND ? said : `${said}; still reading what came in since`;
}

/** @param {any[]} runs @param {number} now */
function batch(runs, now) {
  const ended = runs.filter((run) => run.state === "done" && run.ended_at).map((run) => Date.parse(run.ended_at));
  if (ended.length) return `batch run ${format.ago(Math.max(...ended), now)}`;
  const first = runs.some((run) => run.state === "running") ? "the first batch run is under way" : "no batch run yet";
  return `${first}, the live layer answers alone`;
}

/** @param {any} status @param {any} meta @param {any[]} runs @param {number} now */
function drawStanding(status, meta, runs, now) {
  const rows = [
    ["Completeness", meta.completeness === "exact" ? "exact: each change counts once" : `partial: ${meta.reasons.join("; ")}`],
    ["Live layer", status.speed_lag_seconds < 1 ? "less than a second behind the log" : `${format.seconds(status.speed_lag_seconds)} behind the log`],
    ["Batch layer", `generation ${format.count(meta.generation)}, ${batch(runs, now)}`],
    ["Set aside", aside(status.deadletters)],
    ["Gaps", gaps(status.gaps)],
  ];
  follow(
    find("#standing"),
    rows,
    ([name]) => name,
    ([name]) => h("div", {}, h("dt", {}, name), h("dd", {})),
    (element, [, text]) => say(find("dd", element), text),
  );
  say(find("#version"), status.version ? `Version ${status.version}.` : "");
}

/** The API counts them up to a thousand. @param {number} letters */
function aside(letters) {
  if (!letters) return "nothing: every event was understood";
  return `${letters >= 1000 ? "at least " : ""}${format.plural(letters, "event")} could not be understood; kept as dead letters`;
}

/** @param {{since: string, until: string, reason: string}[]} found */
function gaps(found) {
  if (!found.length) return "none known";
  const last = found.slice(-3).map((gap) => `${format.span(Date.parse(gap.since), Date.parse(gap.until))} (${gap.reason})`);
  const more = found.length > 3 ? `, and ${format.plural(found.length - 3, "earlier one")}` : "";
  return `${last.join("; ")}${more}`;
}

/** Runs the audit and waits for it. */
export async function prove() {
  const button = find("#prove");
  button.disabled = true;
  verdict("busy", "Counting every event again. With many events this takes a minute or more…");
  try {
    let result = await api.post("/v1/audit");
    while (result.state === "running") {
      await new Promise((done) => setTimeout(done, 700));
      result = await api.look("/v1/audit");
    }
    drawVerdict(result);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    verdict("wrong", `The audit did not run: ${why}. On the server: bvw audit`);
  } finally {
    button.disabled = false;
  }
}

/** The result of an audit that ran before, if there is one. */
export async function lastVerdict() {
  const result = await api.look("/v1/audit");
  if (result.state === "done" || result.state === "failed") drawVerdict(result);
}

/** @param {any} result of /v1/audit */
function drawVerdict(result) {
  if (result.state === "failed") {
    verdict("wrong", `The audit failed: ${result.error}`);
    return;
  }
  const compared = `${format.plural(result.cells, "number")} compared with a recount of ${format.plural(result.events, "event")}`;
  const copies = result.copies ? ` (${format.plural(result.copies, "copy", "copies")} counted once)` : "";
  const took = result.seconds === null ? "" : ` in ${format.seconds(result.seconds)}`;
  const left = result.not_recounted_days.length
    ? ` ${format.plural(result.not_recounted_days.length, "day")} could not be recounted: the events are no longer kept.`
    : "";
  const found = result.different;
  verdict(
    result.exact ? "right" : "wrong",
    `${compared}${copies}${took}: ${found ? format.plural(found, "difference") : "no difference"}.${left}`,
  );
  drawDifferences(result.differences);
}

/** @param {string} kind @param {string} text */
function verdict(kind, text) {
  const element = find("#verdict");
  element.dataset.kind = kind;
  say(element, text);
}

/** @param {{cell: string, answered: string, recounted: string}[]} differences */
function drawDifferences(differences) {
  const place = find("#differences");
  place.replaceChildren();
  if (!differences.length) return;
  const lines = differences.slice(0, 100).map((one) =>
    h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, one.cell)), h("td", {}, one.answered), h("td", {}, one.recounted)));
  const head = ["Number", "Answered", "Recounted"].map((name) => h("th", { scope: "col" }, name));
  place.append(
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences" },
      h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...lines))),
  );
}
