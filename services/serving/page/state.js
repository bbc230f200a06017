/**
 * What is being looked at lives in the address, so that a view can be shared and Back works. Only
 * what differs from the default is written, and what can't be read is the default.
 */

/**
 * @typedef {object} State
 * @property {string} project
 * @property {"" | "hour" | "day" | "all" | "dates"} span "" until the source says what suits it
 * @property {string} first day YYYY-MM-DD, where span is "dates"
 * @property {string} last the same, included
 * @property {"edits" | "share"} course
 * @property {"sides" | "classes"} words
 * @property {string} q words to search changes for
 * @property {string} who "bots", "humans" or one class
 * @property {"edits" | "new" | "log" | "categorize" | "all"} what
 * @property {"any" | "articles" | "talk"} space
 * @property {string} topic shown in detail; "" for the one with most edits
 * @property {string} lang chosen by the reader; otherwise the browser's
 */

/** @type {State} */
const DEFAULTS = {
  project: "all-projects",
  span: "",
  first: "",
  last: "",
  course: "edits",
  words: "sides",
  q: "",
  who: "all-editor-types",
  what: "edits",
  space: "any",
  topic: "",
  lang: "",
};
const DAY = /^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
/** @type {Record<string, (text: string) => boolean>} */
const READABLE = {
  project: (text) => /^[a-z0-9_.-]{1,128}$/.test(text),
  span: (text) => ["hour", "day", "all", "dates"].includes(text),
  first: (text) => DAY.test(text),
  last: (text) => DAY.test(text),
  course: (text) => ["edits", "share"].includes(text),
  words: (text) => ["sides", "classes"].includes(text),
  q: (text) => text.length <= 256,
  who: (text) => ["all-editor-types", "bots", "humans", "group-bot", "name-bot", "anonymous", "user"].includes(text),
  what: (text) => ["edits", "new", "log", "categorize", "all"].includes(text),
  space: (text) => ["any", "articles", "talk"].includes(text),
  topic: (text) => /^[0-9a-f]{1,64}-\d{1,6}$/.test(text),
  lang: (text) => ["en", "pt-BR"].includes(text),
};

/** @param {string} search of an address @returns {State} */
export function read(search) {
  const given = new URLSearchParams(search);
  const state = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    const text = given.get(name);
    if (text !== null && READABLE[name](text)) state[name] = text;
  }
  return state;
}

/** @param {State} state @returns {string} the query part of an address, "" for the default view */
export function written(state) {
  const chosen = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  return chosen.length ? `?${new URLSearchParams(chosen)}` : "";
}
