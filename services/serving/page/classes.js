/** The editor classes of the Wikimedia Analytics API, in the order in which the page draws them. */

/** @typedef {{name: string, label: string, meaning: string, side: "bots" | "humans"}} EditorClass */

/** @type {EditorClass[]} */
export const CLASSES = [
  { name: "group-bot", label: "Flagged bots", meaning: "the edit carries the bot flag", side: "bots" },
  { name: "name-bot", label: "Bots by name", meaning: "not flagged, but the name says bot", side: "bots" },
  { name: "anonymous", label: "Without account", meaning: "an address or a temporary account", side: "humans" },
  { name: "user", label: "Registered people", meaning: "an account, neither flagged nor named a bot", side: "humans" },
];

/** @type {Map<string, EditorClass>} */
export const BY_NAME = new Map(CLASSES.map((one) => [one.name, one]));

/** @type {{name: "bots" | "humans", label: string}[]} */
export const SIDES = [
  { name: "bots", label: "Bots" },
  { name: "humans", label: "People" },
];
