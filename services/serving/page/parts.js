/**
 * The parts of the page below the share: what each asks, how often, and who draws it. All are asked at
 * the token of the share, so that what is drawn in one round stands on the same events.
 */

import * as api from "./api.js";
import * as changes from "./changes.js";
import { find, h, say } from "./dom.js";
import * as lists from "./lists.js";
import * as spans from "./span.js";
import { t } from "./strings.js";
import * as topics from "./topics.js";

/**
 * What one round asks for.
 * @typedef {object} Asked
 * @property {import("./state.js").State} state
 * @property {spans.Span} span
 * @property {Record<string, string>} query project, start and end
 * @property {string} topProject the project whose tops are shown
 * @property {{path: string, label: string}} top
 * @property {string} place the project, or all of them, in words
 * @property {string} covers place and span
 * @property {string} daysLabel what lists by whole days cover
 * @property {string} hoursLabel
 */

/** @typedef {[string, Record<string, string | number>]} Question */

/** Asks for more at the same place. @typedef {(path: string, query: Record<string, string | number>) => Promise<any>} Ask */

/**
 * A part of the page below the share. `every` is in rounds.
 * @typedef {object} Part
 * @property {string} id
 * @property {number} every
 * @property {(asked: Asked) => Record<string, Question>} questions
 * @property {(answers: Record<string, any>, asked: Asked, ask: Ask) => Promise<void> | void} draw
 * @property {(asked: Asked) => string} [chosen] what it shows of its answers, where that can be chosen
 * @property {() => boolean} [current] whether it keeps itself current
 * @property {string} [drawn] what it shows, so that it is not asked again
 * @property {string} [asking] the questions that `drawn` answers
 * @property {number} [round] when it was drawn
 */

export const days = (/** @type {Asked} */ asked) => ({ ...asked.query, ...bounds(spans.days(asked.span)) });
const hours = (/** @type {Asked} */ asked) =>
  asked.span.granularity === "minutely" ? { ...asked.query, ...bounds(spans.hours(asked.span)) } : asked.query;
export const bounds = (/** @type {spans.Span} */ span) => ({ start: spans.date(span.start), end: spans.date(span.end) });

/** @param {Asked} asked @param {string} what @returns {Record<string, Question>} */
function tops(asked, what) {
  if (!asked.topProject) return {};
  const path = (/** @type {string} */ who) =>
    `/metrics/${what}/top-by-edits/${encodeURIComponent(asked.topProject)}/${who}/all-page-types/${asked.top.path}`;
  return { bots: [path("bots"), {}], humans: [path("humans"), {}] };
}

/** @param {Asked} asked @returns {Record<string, Question>} */
function words(asked) {
  const limit = 12;
  return Object.fromEntries(
    lists.wordColumns(asked).map(({ name }) => [name, ["/v1/words/top", { ...days(asked), editor_type: name, limit }]]),
  );
}

/** @type {Part[]} */
const PARTS = [
  { id: "changes", every: 1, current: changes.live, questions: (asked) => ({ all: changes.question(asked) }), draw: ({ all }, asked) => changes.draw(all, asked) },
  { id: "where", every: 4, questions: (asked) => ({ all: ["/v1/projects", bounds(spans.hours(asked.span))] }), draw: ({ all }, asked) => lists.drawWhere(all, asked) },
  { id: "topics", every: 4, chosen: ({ state }) => state.topic, questions: (asked) => ({ all: ["/v1/topics", days(asked)] }), draw: ({ all }, asked, ask) => topics.draw(all, asked, ask, days(asked)) },
  { id: "pages", every: 4, questions: (asked) => tops(asked, "edited-pages"), draw: lists.drawPages },
  { id: "words", every: 4, questions: words, draw: lists.drawWords },
  { id: "editors", every: 4, questions: (asked) => tops(asked, "editors"), draw: lists.drawEditors },
  { id: "agreement", every: 4, questions: (asked) => ({ all: ["/v1/agreement", hours(asked)] }), draw: ({ all }, asked) => lists.drawAgreement(all, asked) },
  { id: "hashtags", every: 4, questions: (asked) => ({ all: ["/v1/hashtags/top", { ...days(asked), limit: 10 }] }), draw: ({ all }, asked) => lists.drawHashtags(all, asked) },
];

/** Draws every part that is due. @param {Asked} asked @param {string} at @param {number} round @param {AbortSignal} signal */
export async function draw(asked, at, round, signal) {
  await Promise.all(PARTS.map((part) => drawPart(part, asked, at, round, signal)));
}

/** Asks for a part again although nothing moved. @param {string} id */
export function again(id) {
  for (const part of PARTS) if (part.id === id) part.asking = "";
}

/** @param {Part} part @param {Asked} now @param {string} at @param {number} round @param {AbortSignal} signal */
async function drawPart(part, now, at, round, signal) {
  const questions = part.questions(now);
  const asking = JSON.stringify([questions, part.chosen?.(now)]);
  const same = part.asking === asking;
  if (same && (part.current?.() || part.drawn === at || round < (part.round ?? 0) + part.every)) return;
  try {
    const names = Object.keys(questions);
    const ask = (/** @type {Question} */ question) => quietly(question, at, signal);
    const found = await Promise.all(names.map((name) => ask(questions[name])));
    signal.throwIfAborted();
    const answers = Object.fromEntries(names.map((name, place) => [name, found[place]]));
    if (names.length) await part.draw(answers, now, (path, query) => ask([path, query]));
    [part.drawn, part.asking, part.round] = [at, asking, round];
    ready(part.id);
  } catch (error) {
    if (signal.aborted || error instanceof api.Unreachable) throw error;
    part.asking = "";
    // 410: the generation went while we asked; the next round has another.
    if (!(error instanceof api.Problem && error.status === 410)) failed(part.id, error);
  }
}

/** A top of which there is nothing is a 404 in the Analytics API. @param {Question} question @param {string} at @param {AbortSignal} signal */
async function quietly([path, query], at, signal) {
  try {
    return await api.ask(path, query, { at, signal });
  } catch (error) {
    if (error instanceof api.Problem && error.status === 404 && path.startsWith("/metrics/")) return { items: [] };
    throw error;
  }
}

/** @param {string} id */
export function ready(id) {
  const root = find(`#${id}`);
  root.removeAttribute("aria-busy");
  root.querySelector(":scope > .problem")?.remove();
}

/** @param {string} id @param {unknown} error */
export function failed(id, error) {
  const root = find(`#${id}`);
  const text = `${error instanceof Error ? error.message : error} ${t("page.again")}`;
  const line = root.querySelector(":scope > .problem") ?? h("p", { class: "problem" });
  say(line, text);
  root.append(line);
  root.removeAttribute("aria-busy");
}
