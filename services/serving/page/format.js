/**
 * Numbers and times in words that a person reads, in the page's language. A time is shown in the
 * reader's own zone and tells UTC to who points at it; whole days are UTC's, because that is how they
 * are counted.
 */

import { h } from "./dom.js";
import { language, t } from "./strings.js";

// British dates: day before month, 24 hours, as in the rest of the world.
const DATES = language === "en" ? "en-GB" : language;

const COUNT = new Intl.NumberFormat(language);
const SHORT = new Intl.NumberFormat(language, { notation: "compact" });
const SIGNED = new Intl.NumberFormat(language, { signDisplay: "exceptZero" });
const PERCENT = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const AGO = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const DECIMAL = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const LIST = new Intl.ListFormat(language, { style: "narrow" });

const local = (/** @type {Intl.DateTimeFormatOptions} */ options) => new Intl.DateTimeFormat(DATES, options);
const utc = (/** @type {Intl.DateTimeFormatOptions} */ options) => local({ timeZone: "UTC", ...options });
const CLOCK = local({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = local({ hour: "2-digit", minute: "2-digit" });
const OWN_DAY = local({ day: "numeric", month: "short", year: "numeric" });
const OWN_SHORT_DAY = local({ day: "numeric", month: "short" });
const DAY = utc({ day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = utc({ day: "numeric", month: "short", year: "numeric" });
const MONTH = utc({ month: "long", year: "numeric" });
const WHOLE = utc({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** @param {number} n */
export const count = (n) => COUNT.format(n);
/** "24K" @param {number} n */
export const short = (n) => SHORT.format(n);
/** @param {number} n */
export const signed = (n) => SIGNED.format(n).replace("-", "−");
/** @param {number} part 0 to 1 */
export const percent = (part) => PERCENT.format(part);
/** @param {number} n */
export const decimal = (n) => DECIMAL.format(n);
/** @param {number} n */
export const seconds = (n) => `${DECIMAL.format(n)} s`;
/** @param {string[]} texts */
export const list = (texts) => LIST.format(texts);

/** The reader's own clock. @param {number} time ms */
export const clock = (time) => CLOCK.format(time);
/** @param {number} time ms */
export const minute = (time) => MINUTE.format(time);
/** @param {number} time ms */
export const ownDay = (time) => OWN_DAY.format(time);
/** @param {number} time ms */
export const dayAndMonth = (time) => OWN_SHORT_DAY.format(time);
/** A day of UTC. @param {number} time ms */
export const day = (time) => DAY.format(time);
/** @param {number} time ms */
export const shortDay = (time) => SHORT_DAY.format(time);
/** @param {number} time ms */
export const month = (time) => MONTH.format(time);
/** What is shown to who points at a time. @param {number} time ms */
export const inUtc = (time) => `${WHOLE.format(time)} UTC`;

/** The reader's zone, for the foot of the page: "Europe/Lisbon". */
export const zone = CLOCK.resolvedOptions().timeZone;

/** A time as an element: text as given, UTC beside the pointer. @param {number} time ms @param {string} [text] */
export const when = (time, text = clock(time)) => h("time", { datetime: new Date(time).toISOString(), title: inUtc(time) }, text);

/** Names of the days or months, from any week and year. @param {Intl.DateTimeFormatOptions} how @param {number} step @param {number} count */
const named = (how, step, count) =>
  Array.from({ length: count }, (_, at) => utc(how).format(Date.UTC(2023, 0, 1) + at * step * 86_400_000));
const NUMBER = Object.fromEntries(COUNT.formatToParts(1_234_567.8).map(({ type, value }) => [type, value]));

/** How charts write numbers and dates (d3's locales): as the rest of the page does. */
export const vegaLocale = {
  formatLocale: { decimal: NUMBER.decimal, thousands: NUMBER.group, grouping: [3], currency: ["", ""] },
  timeFormatLocale: {
    dateTime: "%x, %X",
    date: "%d/%m/%Y",
    time: "%H:%M:%S",
    periods: ["AM", "PM"],
    days: named({ weekday: "long" }, 1, 7),
    shortDays: named({ weekday: "short" }, 1, 7),
    months: named({ month: "long" }, 31, 12),
    shortMonths: named({ month: "short" }, 31, 12),
  },
};

/** Day and clock. @param {number} time ms */
export const dayAndClock = (time) => `${ownDay(time)}, ${clock(time)}`;

/** The same as an element that tells UTC. @param {number} time ms */
export const moment = (time) => when(time, dayAndClock(time));

const UNITS = /** @type {[Intl.RelativeTimeFormatUnit, number][]} */ ([
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
]);

/** "2 minutes ago". @param {number} then ms @param {number} now ms */
export function ago(then, now) {
  const past = Math.max(0, (now - then) / 1000);
  const [unit, size] = UNITS.find(([, size]) => past >= size) ?? ["second", 1];
  return AGO.format(-Math.floor(past / size), unit);
}

/** A span as a person says it; the end is excluded. @param {number} start ms @param {number} end ms */
export function span(start, end) {
  const wholeDays = start % 86_400_000 === 0 && end % 86_400_000 === 0;
  if (wholeDays) return `${day(start) === day(end - 1) ? day(start) : t("span", { from: shortDay(start), to: shortDay(end - 1) })} (UTC)`;
  const sameDay = ownDay(start) === ownDay(end - 1);
  const to = sameDay ? minute(end) : `${ownDay(end)}, ${minute(end)}`;
  return t("span", { from: `${ownDay(start)}, ${minute(start)}`, to });
}

/** The same as an element that tells UTC. @param {number} start ms @param {number} end ms */
export const spanned = (start, end) => h("span", { title: t("span", { from: inUtc(start), to: inUtc(end) }) }, span(start, end));
