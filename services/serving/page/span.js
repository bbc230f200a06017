/**
 * Which stretch of time is asked for. The end is excluded, all is UTC, and every answer says what it
 * covers: edits are counted by hour and minute, but words, hashtags and tops by whole days, so those
 * are asked for the days that the stretch touches.
 */

import * as format from "./format.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FEW = 3; // hours that would be drawn as a bar or two

/**
 * @typedef {object} Facts
 * @property {string} kind of the source: live, recording, simulated
 * @property {number | null} first first event day, YYYYMMDD
 * @property {number | null} last last event day
 * @property {number} now ms: the server's clock, or the end of the data of a recording
 * @property {number} minutesFrom ms: from when on minutes are kept
 */

/**
 * @typedef {object} Span
 * @property {number} start ms
 * @property {number} end ms, excluded
 * @property {string} granularity of the course
 */

/** YYYYMMDD as ms. @param {number} day */
export const fromDay = (day) => Date.UTC(Math.trunc(day / 10_000), (Math.trunc(day / 100) % 100) - 1, day % 100);

/** The API's date: YYYYMMDD where it is midnight, otherwise to the minute. @param {number} ms */
export function date(ms) {
  const digits = new Date(ms).toISOString().replaceAll(/\D/g, "").slice(0, 12);
  return digits.endsWith("0000") ? digits.slice(0, 8) : digits;
}

/** A recording opens whole; a stream on its last hour. @param {string} kind */
export const suits = (kind) => (kind === "recording" ? "all" : "hour");

/**
 * @param {{span: string, first: string, last: string}} state
 * @param {Facts} facts
 * @returns {Span | null} null where there is no data yet, or dates are missing
 */
export function chosen(state, facts) {
  const kind = state.span || suits(facts.kind);
  if (kind === "dates") {
    const [a, b] = [Date.parse(state.first || state.last), Date.parse(state.last || state.first)];
    if (Number.isNaN(a) || Number.isNaN(b)) return null;
    return withSteps(Math.min(a, b), Math.max(a, b) + DAY, facts);
  }
  if (facts.first === null || facts.last === null) return null;
  if (kind === "all") return withSteps(fromDay(facts.first), fromDay(facts.last) + DAY, facts);
  if (kind === "hour") {
    const end = (Math.floor(facts.now / MINUTE) + 1) * MINUTE;
    if (end - HOUR >= facts.minutesFrom) return { start: end - HOUR, end, granularity: "minutely" };
  }
  const end = (Math.floor(facts.now / HOUR) + 1) * HOUR;
  return { start: end - (kind === "hour" ? HOUR : DAY), end, granularity: "hourly" };
}

/** Hours up to four days, then days. @param {number} start @param {number} end @param {Facts} facts */
function withSteps(start, end, facts) {
  return { start, end, granularity: end - start <= 4 * DAY ? "hourly" : "daily" };
}

/**
 * The granularity that a course is drawn in: minutes where hours would draw only a bar or two and
 * minutes are kept, and hours again once there are more of them.
 * @param {Span} span @param {{granularity: string, course: {timestamp: string, edits: Record<string, number>}[]}} share as asked
 * @param {Facts} facts
 */
export function suited(span, { granularity, course }, facts) {
  const filled = trimmed(course).length;
  if (granularity === "minutely") return filled > FEW * 60 ? span.granularity : granularity;
  const few = granularity === "hourly" && filled > 0 && filled <= FEW;
  return few && span.end - span.start <= DAY && span.start >= facts.minutesFrom ? "minutely" : granularity;
}

/**
 * A course without the empty steps at its ends.
 * @template {{edits: Record<string, number>}} T
 * @param {T[]} course @returns {T[]}
 */
export function trimmed(course) {
  const some = (/** @type {T} */ step) => Object.values(step.edits).some((edits) => edits !== 0);
  const first = course.findIndex(some);
  return first < 0 ? [] : course.slice(first, course.findLastIndex(some) + 1);
}

/** The length of a step. @param {string} granularity */
export const stepOf = (granularity) => ({ minutely: MINUTE, hourly: HOUR, daily: DAY })[granularity] ?? 30 * DAY;

/** The whole days that a span touches. @param {Span} span @returns {Span} */
export function days(span) {
  return { ...span, start: Math.floor(span.start / DAY) * DAY, end: Math.ceil(span.end / DAY) * DAY };
}

/** The whole hours that a span touches. @param {Span} span @returns {Span} */
export function hours(span) {
  return { ...span, start: Math.floor(span.start / HOUR) * HOUR, end: Math.ceil(span.end / HOUR) * HOUR };
}

/**
 * Tops are kept by day and by month: the day on which the span ends, or for longer spans its month.
 * @param {Span} span
 */
export function top(span) {
  const last = new Date(span.end - 1);
  const [year, month, day] = last.toISOString().slice(0, 10).split("-");
  const oneDay = span.end - span.start <= DAY;
  return {
    path: `${year}/${month}/${oneDay ? day : "all-days"}`,
    label: `${oneDay ? format.day(last.getTime()) : format.month(last.getTime())} (UTC)`,
  };
}
