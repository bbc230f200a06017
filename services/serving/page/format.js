/** Numbers and times in words that a person reads. The page speaks English, and UTC. */

const COUNT = new Intl.NumberFormat("en");
const SIGNED = new Intl.NumberFormat("en", { signDisplay: "exceptZero" });
const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const SECONDS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

const utc = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const CLOCK = utc({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = utc({ hour: "2-digit", minute: "2-digit" });
const DAY = utc({ day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = utc({ day: "numeric", month: "short", year: "numeric" });
const DAY_AND_MONTH = utc({ day: "numeric", month: "short" });
const MONTH = utc({ month: "long", year: "numeric" });

/** @param {number} n */
export const count = (n) => COUNT.format(n);
/** @param {number} n */
export const signed = (n) => SIGNED.format(n).replace("-", "−");
/** @param {number} part 0 to 1 */
export const percent = (part) => PERCENT.format(part);
/** @param {number} n */
export const seconds = (n) => `${SECONDS.format(n)} s`;
/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** @param {number | Date} time */
export const clock = (time) => CLOCK.format(time);
/** @param {number | Date} time */
export const minute = (time) => MINUTE.format(time);
/** @param {number | Date} time */
export const day = (time) => DAY.format(time);
/** @param {number | Date} time */
export const shortDay = (time) => SHORT_DAY.format(time);
/** @param {number | Date} time */
export const dayAndMonth = (time) => DAY_AND_MONTH.format(time);
/** @param {number | Date} time */
export const month = (time) => MONTH.format(time);

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
  const whole = Math.floor(past / size);
  if (unit === "second" && whole <= 1) return whole ? "a second ago" : "just now";
  return AGO.format(-whole, unit);
}

/** A span as a person says it; the end is excluded. @param {number} start ms @param {number} end ms */
export function span(start, end) {
  const wholeDays = start % 86_400_000 === 0 && end % 86_400_000 === 0;
  const sameDay = day(start) === day(end - 1);
  if (wholeDays) return sameDay ? day(start) : `${shortDay(start)} to ${shortDay(end - 1)}`;
  if (sameDay) return `${day(start)}, ${minute(start)} to ${minute(end)} UTC`;
  return `${shortDay(start)}, ${minute(start)} to ${shortDay(end)}, ${minute(end)} UTC`;
}
