/**
 * The page of Bots vs Wiki. Plain ES modules as they are: no build step, no framework, no CDN.
 *
 * Where things are
 *   main.js     this file: when is asked             parts.js   what is asked, and who draws it
 *   controls.js what can be chosen                   state.js   what is chosen, in the address
 *   classes.js  the editor classes                   span.js    which stretch of time is asked for
 *   strings.js  what is said, by language            changes.js the live feed and the search
 *   share.js    sentence, bar and course             format.js  numbers and times in words
 *   lists.js    tops, words, hashtags, matrix        topics.js  topics: list, map, one of them
 *   proof.js    source, freshness, gaps, the audit   runs.js    the batch layer's newest run
 *   figures.js  the data of a drawing, to take away  specs.js   the drawings, in Vega-Lite
 *   charts.js   the only one that knows Vega         links.js   addresses of the wikis
 *   api.js      asks the API (ETag, problems)        dom.js     elements; text is always text
 *
 * How it stays current
 *   Every two seconds, while the page can be seen, it asks for the status and the share. The share's
 *   ETag changes when the generation or the visible position does; as long as it does not, a 304 ends
 *   the round. When it does, the token `at` of the new share goes with all other questions, so that
 *   the parts drawn in one round stand on the same events and never contradict each other. Parts are
 *   updated in place: nothing blinks, nothing moves that has not changed. Lists by whole days are
 *   asked for less often than the sentence. The newest changes come by themselves, from the live feed.
 *
 * How it stays safe
 *   Titles, names, comments and words are written by strangers. They become text nodes (dom.js) and,
 *   where the address is https on a Wikimedia domain, the text of a link (links.js). The page runs
 *   under a Content-Security-Policy without any `unsafe-*`.
 */

import * as api from "./api.js";
import * as changes from "./changes.js";
import * as charts from "./charts.js";
import * as controls from "./controls.js";
import { find, h, say } from "./dom.js";
import * as format from "./format.js";
import * as parts from "./parts.js";
import * as proof from "./proof.js";
import * as batchRuns from "./runs.js";
import { drawCourse, drawShare } from "./share.js";
import * as spans from "./span.js";
import * as states from "./state.js";
import { t } from "./strings.js";

const BEAT = 2_000;
const LONGEST_WAIT = 15_000;
const AGAIN = 15;

let state = states.read(location.search);
/** @type {parts.Asked | null} */
let asked = null;
/** @type {spans.Facts | null} */
let known = null;
/** @type {any} */
let extent = null;
/** @type {any[]} */
let runs = [];
/** @type {any} */
let shareDrawn = null;
let shareKey = "";
let fine = "";
let round = 0;
let wait = BEAT;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let stopping = new AbortController();

/** One round: the share, and if it moved, everything else at the same place. */
async function beat() {
  clearTimeout(timer);
  const { signal } = stopping;
  round += 1;
  try {
    await look(signal);
    trouble("");
    wait = BEAT;
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof api.Problem && error.status < 500) {
      unanswered(error.status === 404 ? t("page.no-project", { project: state.project }) : error.message);
      controls.offer([], state);
    } else trouble(error instanceof api.Unreachable
      ? t("page.unreachable")
      : `${error instanceof Error ? error.message : error} ${t("page.again")}`);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
  if (!signal.aborted && !document.hidden) timer = setTimeout(beat, wait);
}

/** @param {AbortSignal} signal */
async function look(signal) {
  const seldom = round % AGAIN === 1 || extent === null || extent.first === null;
  const [status, newExtent, newRuns] = await Promise.all([
    api.look("/v1/status", signal),
    seldom ? api.ask("/v1/span", {}, { signal }) : extent,
    seldom || round % 3 === 0 ? api.look("/v1/batch/runs?limit=20", signal).then((answer) => answer.runs) : runs,
  ]);
  [extent, runs] = [newExtent, newRuns];
  proof.drawSource(status);
  const facts = await factsOf(status, signal);
  known = facts;
  controls.show(state, known);
  const span = spans.chosen(state, facts);
  if (!span) {
    waiting(status, signal);
    return;
  }
  const share = await askShare(span, facts, signal);
  signal.throwIfAborted();
  proof.drawFreshness(status, share.meta, runs);
  batchRuns.draw(runs, Date.parse(status.now));
  await drawParts(share, signal);
}

/** @param {any} status @param {AbortSignal} signal @returns {Promise<spans.Facts>} */
async function factsOf(status, signal) {
  const { first, last } = extent;
  const { kind } = status.source;
  const facts = { kind, first, last, now: Date.parse(status.now), minutesFrom: Date.parse(status.minutes_from) };
  const relative = state.span === "hour" || state.span === "day";
  if (kind === "recording" && last !== null && relative) facts.now = await endOfData(last, signal);
  return facts;
}

/** A recording's "now": the end of its last hour with edits. @param {number} last @param {AbortSignal} signal */
async function endOfData(last, signal) {
  const start = spans.fromDay(last);
  const query = { start: spans.date(start), end: spans.date(start + 86_400_000), granularity: "hourly" };
  const answer = await api.ask("/v1/share", query, { signal });
  const newest = spans.trimmed(answer.course).at(-1);
  return newest ? Date.parse(newest.timestamp) + 3_600_000 - 1 : start;
}

/**
 * Asks for the share, in minutes where hours would be too coarse, and says what everything else is
 * asked for.
 * @param {spans.Span} span @param {spans.Facts} facts @param {AbortSignal} signal
 */
async function askShare(span, facts, signal) {
  const query = { project: state.project, ...parts.bounds(span) };
  const key = JSON.stringify([query, state.span]);
  const by = (/** @type {string} */ granularity) =>
    api.ask("/v1/share", { ...query, by: "class", granularity }, { signal });
  const minutes = fine === key && span.start >= facts.minutesFrom;
  let share = await by(minutes ? "minutely" : span.granularity);
  const suited = spans.suited(span, share, facts);
  if (suited !== share.granularity) {
    fine = suited === "minutely" ? key : "";
    share = await by(suited);
  }
  const place = state.project === "all-projects" ? t("page.all-projects") : state.project;
  asked = {
    state,
    span,
    query,
    place,
    covers: `${place} · ${labelOf(span)}`,
    topProject: state.project === "all-projects" ? "" : state.project,
    top: spans.top(span),
    daysLabel: labelOf(spans.days(span)),
    hoursLabel: labelOf(span.granularity === "minutely" ? spans.hours(span) : span),
  };
  return share;
}

const labelOf = (/** @type {spans.Span} */ span) => format.span(span.start, span.end);

/** @param {any} share @param {AbortSignal} signal */
async function drawParts(share, signal) {
  if (!asked) return;
  const now = asked;
  const key = JSON.stringify([now.query, state.course]);
  if (share !== shareDrawn || key !== shareKey) {
    find("main").className = share.edits ? "" : "none";
    drawShare(share, now);
    parts.ready("share");
    drawCourse(share, now).then(() => parts.ready("course"), (error) => parts.failed("course", error));
    [shareDrawn, shareKey] = [share, key];
  }
  const projects = await api.ask("/v1/projects", parts.days({ ...now, query: {} }), { at: share.meta.at, signal });
  controls.offer(projects.projects, state);
  now.topProject ||= projects.projects[0]?.project ?? "";
  await parts.draw(now, share.meta.at, round, signal);
}

/** @param {any} status @param {AbortSignal} signal */
function waiting(status, signal) {
  if (signal.aborted) return;
  unanswered(t(state.span === "dates" ? "page.choose-days" : "page.nothing-yet"));
  say(find("#freshness"), status.reasons.join("; "));
}

/** In place of the sentence, where there is none. @param {string} text */
function unanswered(text) {
  find("main").className = "blank";
  find("#sentence").replaceChildren(h("span", { class: "plain" }, text));
  say(find("#covers"), "");
  find("#bar").replaceChildren();
  find("#legend").replaceChildren();
  for (const busy of document.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
  shareKey = "";
}

/** @param {string} text */
function trouble(text) {
  const line = find("#trouble");
  line.hidden = !text;
  say(line, text);
}

/** @param {Partial<states.State>} change @param {{replace?: boolean}} [options] */
function choose(change, { replace = false } = {}) {
  state = { ...state, ...change };
  const address = `${location.pathname}${states.written(state)}`;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  restart();
}

function restart() {
  stopping.abort();
  stopping = new AbortController();
  controls.show(state, known);
  beat();
}

/** Nobody looks: nothing is asked, and nothing comes. */
function rest() {
  clearTimeout(timer);
  changes.stop();
  parts.again("changes");
}

function start() {
  say(find("#zone"), t("page.zone", { zone: format.zone }));
  controls.show(state, known);
  controls.listen(choose);
  find("#prove").addEventListener("click", proof.prove);
  find("#older").addEventListener("click", () => asked && changes.older(asked).catch((error) => parts.failed("changes", error)));
  find("#newest").addEventListener("click", () => {
    changes.newest();
    parts.again("changes");
    restart();
  });
  find("#pause").addEventListener("click", () => {
    if (!asked || changes.pause(asked)) return;
    parts.again("changes");
    restart();
  });
  addEventListener("popstate", () => {
    state = states.read(location.search);
    restart();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : restart()));
  charts.onColours(() => {
    shareKey = "";
    restart();
  });
  beat();
  proof.lastVerdict().catch(() => {});
}

start();
