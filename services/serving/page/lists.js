/** Ranked lists: pages, editors, words, hashtags; and the matrix of flag against name. */

import { CLASSES, SIDES } from "./classes.js";
import { find, follow, h, say } from "./dom.js";
import * as format from "./format.js";
import * as links from "./links.js";
import { written } from "./state.js";

/** @typedef {{key: string, edits: number, name: () => Node}} Row */
/** @typedef {import("./parts.js").Asked} Asked */

/**
 * Rows with a bar behind each, long as its part of the greatest.
 * @param {Element} list @param {Row[]} rows @param {string} nothing said of an empty list
 */
function ranked(list, rows, nothing) {
  if (!rows.length) {
    list.replaceChildren(h("li", { class: "nothing" }, nothing));
    return;
  }
  const most = Math.max(...rows.map((row) => row.edits));
  const make = (/** @type {Row} */ row) =>
    h("li", {}, h("span", { class: "name" }, row.name()), h("span", { class: "count" }));
  follow(list, rows, (row) => row.key, make, (element, row) => {
    say(find(".count", element), format.count(row.edits));
    element.style.setProperty("--part", String(row.edits / most));
  });
}

/** @param {Asked} asked what a list by project and day covers */
const topNote = (asked) => {
  const where = asked.state.project === "all-projects"
    ? `${asked.topProject}, the project with most edits (tops are kept by project)`
    : asked.topProject;
  return `${where} · ${asked.top.label}`;
};

/** @param {any} answer in the shape of the Analytics API @returns {any[]} */
const topRows = (answer) => answer.items[0]?.results[0]?.top ?? [];

/** @param {Record<string, any>} answers @param {Asked} asked */
export function drawPages(answers, asked) {
  const root = find("#pages");
  say(find(".note", root), topNote(asked));
  for (const { name } of SIDES) {
    const rows = topRows(answers[name]).slice(0, 10).map((row) => ({
      key: `${asked.topProject} ${row.page_title}`,
      edits: row.edits,
      name: () => links.named(row.page_title, links.page(asked.topProject, row.page_title)),
    }));
    ranked(find(`[data-who=${name}] ol`, root), rows, "None in this span.");
  }
}

/** @param {Record<string, any>} answers @param {Asked} asked */
export function drawEditors(answers, asked) {
  const root = find("#editors");
  say(find(".note", root), topNote(asked));
  for (const { name } of SIDES) {
    const rows = topRows(answers[name]).slice(0, 10).map((row) => ({
      key: `${asked.topProject} ${row.user_text === null ? `#${row.rank}` : ` ${row.user_text}`}`,
      edits: row.edits,
      name: () => row.user_text === null
        ? h("span", { class: "unnamed" }, "someone without account")
        : links.named(row.user_text, links.editor(asked.topProject, row.user_text)),
    }));
    ranked(find(`[data-who=${name}] ol`, root), rows, "None in this span.");
  }
}

/** Which lists of words there are. @param {Asked} asked */
export const wordColumns = (asked) => (asked.state.words === "classes" ? CLASSES : SIDES);

/** @param {Record<string, any>} answers @param {Asked} asked */
export function drawWords(answers, asked) {
  const root = find("#words");
  say(find(".note", root), `${placeOf(asked)} · ${asked.daysLabel} · once per edit; a word searches the changes`);
  follow(
    find("#words-columns", root),
    wordColumns(asked),
    (one) => one.name,
    (one) => h("div", {}, h("h3", {}, h("i", { class: `dot ${one.name}` }), one.label), h("ol", { class: "ranked" })),
    (element, one) => ranked(find("ol", element), wordRows(answers[one.name], asked), "None in this span."),
  );
}

/** @param {any} answer @param {Asked} asked @returns {Row[]} */
function wordRows(answer, asked) {
  return answer.words.map((/** @type {any} */ row) => ({
    key: `${row.stem} ${row.word}`,
    edits: row.edits,
    name: () => searching(row.word, row.word, asked),
  }));
}

/** @param {any} answer @param {Asked} asked */
export function drawHashtags(answer, asked) {
  const root = find("#hashtags");
  say(find(".note", root), `${placeOf(asked)} · ${asked.daysLabel}`);
  const rows = answer.hashtags.map((/** @type {any} */ row) => {
    const tag = `#${row.hashtag.replace(/^#/, "")}`;
    return { key: row.hashtag, edits: row.edits, name: () => searching(tag, tag, asked) };
  });
  ranked(find("ol", root), rows, "No hashtags in the comments of this span.");
}

/** @param {string} text @param {string} words @param {Asked} asked */
function searching(text, words, asked) {
  const q = words.slice(0, 256);
  return h("a", { href: `/${written({ ...asked.state, q })}#changes`, "data-search": q }, h("bdi", {}, text));
}

/** @param {Asked} asked */
const placeOf = (asked) => (asked.state.project === "all-projects" ? "all projects" : asked.state.project);

/** @param {any} answer @param {Asked} asked */
export function drawAgreement(answer, asked) {
  const root = find("#agreement");
  const cells = new Map(answer.cells.map((/** @type {any} */ one) => [`${one.flagged} ${one.bot_name}`, one.edits]));
  const total = [...cells.values()].reduce((sum, edits) => sum + edits, 0);
  say(find(".note", root), `Edits · ${placeOf(asked)} · ${asked.hoursLabel}`);
  for (const cell of root.querySelectorAll("[data-cell]")) {
    const edits = cells.get(cell.dataset.cell) ?? 0;
    if (!cell.firstChild) cell.append(h("b", {}), h("span", {}));
    say(cell.firstChild, format.count(edits));
    say(cell.lastChild, total ? format.percent(edits / total) : "");
    cell.style.setProperty("--part", String(total ? edits / total : 0));
  }
  say(find("#agreement-reading"), reading(cells, total));
}

/** @param {Map<string, number>} cells @param {number} total */
function reading(cells, total) {
  if (!total) return "";
  const agreed = (cells.get("true true") ?? 0) + (cells.get("false false") ?? 0);
  const hidden = cells.get("false true") ?? 0;
  return `Flag and name agree on ${format.percent(agreed / total)} of the edits. `
    + `${format.plural(hidden, "edit")} by names that say bot carried no flag.`;
}
