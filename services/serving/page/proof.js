/** What the numbers stand on, in words: the source, how fresh they are, gaps; and the audit that proves them. */

import * as api from "./api.js";
import { find, follow, h, say, tell } from "./dom.js";
import * as format from "./format.js";
import { parts, t } from "./strings.js";

const KINDS = ["live", "recording", "simulated"];
const BEHIND = 5; // seconds from which a reader is told that the live layer is catching up

/** What the server says in words of its own is English. @param {string} text */
const english = (text) => h("span", { lang: "en" }, h("bdi", {}, text));

/** The source, what to know about it, and what is the matter with it. @param {any} status */
export function drawSource({ source, stream }) {
  const element = find("#source");
  const sick = stream !== null && (["waiting", "stopped"].includes(stream.state) || stream.canaries_missing);
  element.dataset.kind = sick ? "trouble" : source.kind;
  const what = KINDS.includes(source.kind) ? t(`source.${source.kind}`) : source.kind;
  const told = source.description || source.name;
  tell(element, [
    h("b", {}, what),
    " ",
    english(told),
    ...source.note ? [" ", h("span", { class: "said", lang: "en" }, source.note)] : [],
    ...sick ? [" ", h("strong", {}, ...streamTrouble(stream))] : [],
  ]);
}

/** @param {any} stream of /v1/status @returns {(Node | string)[]} */
function streamTrouble(stream) {
  const since = format.moment(Date.parse(stream.since));
  if (stream.state === "stopped" || stream.state === "waiting") {
    const again = stream.retry_at ? [" ", ...parts("stream.again", { when: format.when(Date.parse(stream.retry_at)) })] : [];
    return [...parts(`stream.${stream.state}`, { since, why: english(stream.reason) }), ...again];
  }
  const last = stream.last_canary_at ? format.moment(Date.parse(stream.last_canary_at)) : since;
  return parts("stream.silent", { since: last });
}

/** @param {any} status @param {any} meta of the share @param {any[]} runs */
export function drawFreshness(status, meta, runs) {
  const now = Date.parse(status.now);
  const until = Date.parse(meta.as_of_time);
  const partial = meta.completeness !== "exact";
  const element = find("#freshness");
  element.dataset.completeness = meta.completeness;
  tell(element, [
    h("i", { class: "lamp" }),
    ...partial ? [t("fresh.partial"), " ", english(meta.reasons.join("; "))] : upTo(status, until, now),
    " · ",
    batch(runs, now),
    " ",
    h("a", { href: "#proof" }, t("fresh.how-sure")),
  ]);
  drawStanding(status, meta, runs, now);
}

/** @param {any} status @param {number} until @param {number} now @returns {(Node | string)[]} */
function upTo(status, until, now) {
  if (until <= 0) return [t("fresh.nothing")];
  if (status.source.kind === "recording" && status.caught_up) return [t("fresh.everything")];
  const said = parts("fresh.up-to", { when: format.when(until), ago: format.ago(until, now) });
  return status.speed_lag_seconds < BEHIND ? said : [...said, t("fresh.reading")];
}

/** @param {any[]} runs @param {number} now */
function batch(runs, now) {
  const ended = runs.filter((run) => run.state === "done" && run.ended_at).map((run) => Date.parse(run.ended_at));
  if (ended.length) return t("fresh.run", { ago: format.ago(Math.max(...ended), now) });
  return t(runs.some((run) => run.state === "running") ? "fresh.first-run" : "fresh.no-run");
}

/** @param {any} status @param {any} meta @param {any[]} runs @param {number} now */
function drawStanding(status, meta, runs, now) {
  const rows = /** @type {[string, (Node | string)[]][]} */ ([
    ["completeness", meta.completeness === "exact" ? [t("standing.exact")] : [t("fresh.partial"), " ", english(meta.reasons.join("; "))]],
    ["live", [status.speed_lag_seconds < 1 ? t("standing.no-lag") : t("standing.lag", { seconds: format.seconds(status.speed_lag_seconds) })]],
    ["batch", [t("standing.generation", { generation: format.count(meta.generation) }), ", ", batch(runs, now)]],
    ...status.stream ? [["stream", connection(status.stream)]] : [],
    ["aside", [aside(status.deadletters)]],
    ["gaps", gaps(status.gaps)],
  ]);
  follow(
    find("#standing"),
    rows,
    ([name]) => name,
    ([name]) => h("div", {}, h("dt", {}, t(`standing.${name}`)), h("dd", {})),
    (element, [, said]) => tell(find("dd", element), said),
  );
  say(find("#version"), status.version ? t("page.version", { version: status.version }) : "");
}

/** @param {any} stream @returns {(Node | string)[]} */
function connection(stream) {
  const since = format.moment(Date.parse(stream.since));
  if (stream.state === "waiting" || stream.state === "stopped" || stream.canaries_missing) return streamTrouble(stream);
  return parts(`stream.${stream.state}`, { since });
}

/** The API counts them up to a thousand. @param {number} letters */
function aside(letters) {
  if (!letters) return t("standing.none-aside");
  return t(letters >= 1000 ? "standing.many-aside" : "standing.some-aside", { events: format.count(letters) }, letters);
}

/** @param {{since: string, until: string, reason: string}[]} found @returns {(Node | string)[]} */
function gaps(found) {
  if (!found.length) return [t("standing.no-gaps")];
  const said = found.slice(-3).flatMap((gap, at) => [
    at ? "; " : "",
    format.spanned(Date.parse(gap.since), Date.parse(gap.until)),
    " (",
    english(gap.reason),
    ")",
  ]);
  const earlier = found.length - 3;
  return earlier > 0 ? [...said, t("standing.more-gaps", { gaps: format.count(earlier) }, earlier)] : said;
}

/** Runs the audit and waits for it. */
export async function prove() {
  const button = find("#prove");
  button.disabled = true;
  verdict("busy", t("audit.busy"));
  try {
    let result = await api.post("/v1/audit");
    while (result.state === "running") {
      await new Promise((done) => setTimeout(done, 700));
      result = await api.look("/v1/audit");
    }
    drawVerdict(result);
  } catch (error) {
    verdict("wrong", t("audit.not-run", { why: error instanceof Error ? error.message : String(error) }));
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
    verdict("wrong", t("audit.failed", { why: result.error }));
    return;
  }
  const said = [
    t("audit.compared", { numbers: format.count(result.cells), events: format.count(result.events) }),
    ...result.copies ? [t("audit.copies", { copies: format.count(result.copies) }, result.copies)] : [],
    ...result.seconds === null ? [] : [t("audit.took", { seconds: format.seconds(result.seconds) })],
    result.different ? t("audit.differ", { differences: format.count(result.different) }, result.different) : t("audit.same"),
    ...left("audit.not-recounted", result.not_recounted_days),
    ...left("audit.late", result.late_days),
  ];
  verdict(result.exact ? "right" : "wrong", said.join(" "));
  drawDifferences(result.differences);
}

/** @param {string} key @param {number[]} days */
const left = (key, days) => (days.length ? [t(key, { days: format.count(days.length) }, days.length)] : []);

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
  const head = ["audit.number", "audit.answered", "audit.recounted"].map((key) => h("th", { scope: "col" }, t(key)));
  place.append(
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t("audit.differences") },
      h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...lines))),
  );
}
