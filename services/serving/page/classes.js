/** The editor classes of the Wikimedia Analytics API, in the order in which the page draws them. */

import { t } from "./strings.js";

/** @typedef {{name: string, label: string, meaning: string, side: "bots" | "humans"}} EditorClass */

/** @param {string} name @param {"bots" | "humans"} side @returns {EditorClass} */
const made = (name, side) => ({ name, label: t(`class.${name}`), meaning: t(`class.${name}.meaning`), side });

export const CLASSES = [
  made("group-bot", "bots"),
  made("name-bot", "bots"),
  made("anonymous", "humans"),
  made("user", "humans"),
];

/** @type {Map<string, EditorClass>} */
export const BY_NAME = new Map(CLASSES.map((one) => [one.name, one]));

/** @type {{name: "bots" | "humans", label: string}[]} */
export const SIDES = [
  { name: "bots", label: t("side.bots") },
  { name: "humans", label: t("side.humans") },
];
