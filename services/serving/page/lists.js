/** Ranked lists: projects, pages, editors, words, hashtags; and the matrix of flag against name. */

import { CLASSES, SIDES } from "./classes.js";
import { find, follow, h, mark, say } from "./dom.js";
import * as figures from "./figures.js";
import * as format from "./format.js";
import * as links from "./links.js";
import * as specs from "./specs.js";
import { written } from "./state.js";
import { t } from "./strings.js";

/** @typedef {{key: string, edits: number, text: string, name: () => Node}} Row */
/** Rows whose bar is split between bots and people. @typedef {{key: string, name: () => Node, bots: number, edits: number, current?: boolean}} Split */
/** @typedef {import("./parts.js").Asked} Asked */

/**
 * Rows with a bar behind each, long as its part of the greatest.
 * @template {{key: string, edits: number, name: () => Node}} T
 * @param {Element} list @param {T[]} rows @param {string} nothing said of an empty list
 * @param {{more?: () => Node[], fill?: (element: HTMLElement, row: T) => void}} [what] a row has besides
 */
export function ranked(list, rows, nothing, { more = () => [], fill = () => {} } = {}) {
  if (!rows.length) {
    list.replaceChildren(h("li", { class: "nothing" }, nothing));
    return;
  }
  const most = Math.max(...rows.map((row) => row.edits));
  const make = (/** @type {T} */ row) =>
    h("li", {}, h("span", { class: "name" }, row.name()), h("span", { class: "count" }), ...more());
  follow(list, rows, (row) => row.key, make, (element, row) => {
    say(find(".count", element), format.count(row.edits));
    element.style.setProperty("--part", String(row.edits / most));
    fill(element, row);
  });
}

/** @param {Element} list @param {Split[]} rows @param {string} nothing */
export function split(list, rows, nothing) {
  ranked(list, rows, nothing, {
    more: () => [h("b", { class: "share" })],
    fill: (element, row) => {
      const share = row.edits ? row.bots / row.edits : 0;
      say(find(".share", element), format.percent(share));
      element.style.setProperty("--bots-part", String(share));
      mark(element, Boolean(row.current));
    },
  });
}

/** What a saved list of sides or classes is. @param {{label: string, name: string}[]} columns @param {Row[][]} rows @param {string} what */
function listed(columns, rows, what) {
  return {
    columns: [{ label: t("data.who") }, { label: t("data.rank") }, { label: what }, { label: t("data.edits"), show: format.count }],
    rows: columns.flatMap(({ label }, at) => rows[at].map((row, rank) => [label, rank + 1, row.text, row.edits])),
    specification: specs.rankings(columns.map(({ label, name }, at) => ({
      label,
      colour: `--${name}-tint`,
      rows: rows[at].slice(0, 10).map((row) => ({ name: row.text, edits: row.edits })),
    }))),
  };
}

/** @param {any} answer of /v1/projects @param {Asked} asked */
export function drawWhere(answer, asked) {
  const root = find("#where");
  say(find(".note", root), `${asked.hoursLabel} · ${t("lists.percent")}`);
  const rows = answer.projects.slice(0, 8).map((/** @type {any} */ row) => ({
    key: row.project,
    bots: row.bots,
    edits: row.edits,
    current: row.project === asked.state.project,
    name: () => h("a", { href: `/${written({ ...asked.state, project: row.project })}`, "data-project": row.project }, row.project),
  }));
  split(find(".ranked", root), rows, t("lists.none"));
  figures.offer(find(".data", root), {
    name: "projects",
    title: t("where.title"),
    covers: asked.hoursLabel,
    columns: [
      { label: t("data.project") },
      { label: t("data.edits"), show: format.count },
      { label: t("data.by-bots"), show: format.count },
    ],
    rows: answer.projects.map((/** @type {any} */ row) => [row.project, row.edits, row.bots]),
    specification: specs.splits(answer.projects.slice(0, 20).map((/** @type {any} */ row) =>
      ({ name: row.project, bots: row.bots, humans: row.edits - row.bots }))),
  });
}

/** @param {Asked} asked what a list by project and day covers */
const topNote = (asked) => {
  const where = asked.state.project === "all-projects" ? t("lists.busiest", { project: asked.topProject }) : asked.topProject;
  return `${where} · ${asked.top.label}`;
};

/** @param {any} answer in the shape of the Analytics API @returns {any[]} */
const topRows = (answer) => answer.items[0]?.results[0]?.top ?? [];

/**
 * A top of each side.
 * @param {string} id @param {Record<string, any>} answers @param {Asked} asked @param {(row: any) => Row} made
 */
function tops(id, answers, asked, made) {
  const root = find(`#${id}`);
  say(find(".note", root), topNote(asked));
  const rows = SIDES.map(({ name }) => topRows(answers[name]).map(made));
  SIDES.forEach(({ name }, at) => ranked(find(`[data-who=${name}] ol`, root), rows[at].slice(0, 10), t("lists.none")));
  figures.offer(find(".data", root), {
    name: id,
    title: t(`${id}.title`),
    covers: topNote(asked),
    ...listed(SIDES, rows, t(`data.${id}`)),
  });
}

/** @param {Record<string, any>} answers @param {Asked} asked */
export function drawPages(answers, asked) {
  tops("pages", answers, asked, (row) => ({
    key: `${asked.topProject} ${row.page_title}`,
    edits: row.edits,
    text: row.page_title,
    name: () => links.named(row.page_title, links.page(asked.topProject, row.page_title)),
  }));
}

/** @param {Record<string, any>} answers @param {Asked} asked */
export function drawEditors(answers, asked) {
  const someone = t("editors.unnamed");
  tops("editors", answers, asked, (row) => ({
    key: `${asked.topProject} ${row.user_text === null ? `#${row.rank}` : ` ${row.user_text}`}`,
    edits: row.edits,
    text: row.user_text ?? someone,
    name: () => row.user_text === null
      ? h("span", { class: "unnamed" }, someone)
      : links.named(row.user_text, links.editor(asked.topProject, row.user_text)),
  }));
}

/** Which lists of words there are. @param {Asked} asked */
export const wordColumns = (asked) => (asked.state.words === "classes" ? CLASSES : SIDES);

/** @param {Record<string, any>} answers @param {Asked} asked */
export function drawWords(answers, asked) {
  const root = find("#words");
  const columns = wordColumns(asked);
  say(find(".note", root), `${asked.place} · ${asked.daysLabel} · ${t("words.note")}`);
  const rows = columns.map(({ name }) => wordRows(answers[name], asked));
  follow(
    find("#words-columns", root),
    columns,
    (one) => one.name,
    (one) => h("div", {}, h("h3", {}, h("i", { class: `dot ${one.name}` }), one.label), h("ol", { class: "ranked" })),
    (element, one) => ranked(find("ol", element), rows[columns.indexOf(one)].slice(0, 8), t("lists.none")),
  );
  figures.offer(find(".data", root), {
    name: "words",
    title: t("words.title"),
    covers: `${asked.place} · ${asked.daysLabel}`,
    ...listed(columns, rows, t("data.words")),
  });
}

/** @param {any} answer @param {Asked} asked @returns {Row[]} */
function wordRows(answer, asked) {
  // Over several languages a word may have several stems: who reads it sees one word.
  const edits = new Map();
  for (const row of answer.words) edits.set(row.word, (edits.get(row.word) ?? 0) + row.edits);
  const rows = [...edits].map(([word, edits]) => ({ key: word, edits, text: word, name: () => searching(word, asked) }));
  return rows.sort((a, b) => b.edits - a.edits);
}

/** @param {any} answer @param {Asked} asked */
export function drawHashtags(answer, asked) {
  const root = find("#hashtags");
  const covers = `${asked.place} · ${asked.daysLabel}`;
  say(find(".note", root), covers);
  const rows = answer.hashtags.map((/** @type {any} */ row) => {
    const tag = `#${row.hashtag.replace(/^#/, "")}`;
    return { key: row.hashtag, edits: row.edits, text: tag, name: () => searching(tag, asked) };
  });
  ranked(find("ol", root), rows.slice(0, 8), t("hashtags.none"));
  figures.offer(find(".data", root), {
    name: "hashtags",
    title: t("hashtags.title"),
    covers,
    columns: [{ label: t("data.hashtags") }, { label: t("data.edits"), show: format.count }],
    rows: rows.map((/** @type {Row} */ row) => [row.text, row.edits]),
    specification: specs.rankings([{ label: "", colour: "--line", rows: rows.map((/** @type {Row} */ row) => ({ name: row.text, edits: row.edits })) }]),
  });
}

/** @param {string} text @param {Asked} asked */
function searching(text, asked) {
  const q = text.slice(0, 256);
  return h("a", { href: `/${written({ ...asked.state, q })}#changes`, "data-search": q }, h("bdi", {}, text));
}

/** @param {any} answer @param {Asked} asked */
export function drawAgreement(answer, asked) {
  const root = find("#agreement");
  const cells = new Map(answer.cells.map((/** @type {any} */ one) => [`${one.flagged} ${one.bot_name}`, one.edits]));
  const total = [...cells.values()].reduce((sum, edits) => sum + edits, 0);
  const covers = `${t("data.edits")} · ${asked.place} · ${asked.hoursLabel}`;
  say(find(".note", root), covers);
  for (const cell of root.querySelectorAll("[data-cell]")) {
    const edits = cells.get(cell.dataset.cell) ?? 0;
    if (!cell.firstChild) cell.append(h("b", {}), h("span", {}));
    say(cell.firstChild, format.count(edits));
    say(cell.lastChild, total ? format.percent(edits / total) : "");
    cell.style.setProperty("--part", String(total ? edits / total : 0));
  }
  say(find("#agreement-reading"), reading(cells, total));
  const named = answer.cells.map((/** @type {any} */ one) => ({
    row: t(one.flagged ? "agreement.flagged" : "agreement.not-flagged"),
    column: t(one.bot_name ? "agreement.named" : "agreement.not-named"),
    edits: one.edits,
    text: total ? `${format.count(one.edits)} (${format.percent(one.edits / total)})` : format.count(one.edits),
  }));
  figures.offer(find(".data", root), {
    name: "agreement",
    title: t("agreement.title"),
    covers,
    columns: [{ label: t("data.flag") }, { label: t("data.name") }, { label: t("data.edits"), show: format.count }],
    rows: named.map((/** @type {any} */ one) => [one.row, one.column, one.edits]),
    specification: specs.matrix(named),
  });
}

/** @param {Map<string, number>} cells @param {number} total */
function reading(cells, total) {
  if (!total) return "";
  const agreed = (cells.get("true true") ?? 0) + (cells.get("false false") ?? 0);
  const hidden = cells.get("false true") ?? 0;
  const values = { share: format.percent(agreed / total), edits: format.count(hidden) };
  return t("agreement.reading", values, hidden);
}
