/**
 * What the page says, in the language that the server wrote it in: the strings come with it. A text has
 * places in braces, `{count}`; where it depends on a number there is one for each plural category.
 */

/** @type {Record<string, string | Record<string, string>>} */
const strings = JSON.parse(document.getElementById("strings")?.textContent ?? "{}");

/** BCP 47 */
export const language = document.documentElement.lang;

const RULES = new Intl.PluralRules(language);
const PLACE = /\{(\w+)\}/;

/** @param {string} key @param {number} [n] that its form depends on @returns {string} */
function pattern(key, n) {
  const found = strings[key];
  if (found === undefined) throw new Error(`no string ${key}`);
  return typeof found === "string" ? found : found[RULES.select(n ?? 0)] ?? found.other;
}

/**
 * A text with its values.
 * @param {string} key @param {Record<string, string>} [values] @param {number} [n]
 */
export function t(key, values = {}, n) {
  return pattern(key, n).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/**
 * The same where values are elements: strings and nodes in their order.
 * @param {string} key @param {Record<string, Node | string>} values @param {number} [n]
 * @returns {(Node | string)[]}
 */
export function parts(key, values, n) {
  return pattern(key, n).split(PLACE).map((piece, place) => (place % 2 ? values[piece] : piece)).filter((piece) => piece !== "");
}
