/** What the edited pages are about: a list of topics with the bots' share of each, a map of them, and one in detail. */

import * as charts from "./charts.js";
import { CLASSES } from "./classes.js";
import { find, h, say, tell } from "./dom.js";
import * as figures from "./figures.js";
import * as format from "./format.js";
import * as links from "./links.js";
import { ranked, split } from "./lists.js";
import { bar } from "./share.js";
import * as specs from "./specs.js";
import { written } from "./state.js";
import { parts, t } from "./strings.js";

/** @typedef {import("./parts.js").Asked} Asked */

const LISTED = 8;
const MAPPED = 40;
const PAGES = 8;

/** The topic that is shown in detail: the chosen one, or the one with most edits. @param {any} answer @param {Asked} asked */
const current = (answer, asked) => answer.topics.find((/** @type {any} */ one) => one.id === asked.state.topic) ?? answer.topics[0];

/**
 * @param {any} answer of /v1/topics
 * @param {Asked} asked
 * @param {(path: string, query: Record<string, string | number>) => Promise<any>} ask at the same place
 * @param {Record<string, string | number>} query that `answer` answers
 */
export async function draw(answer, asked, ask, query) {
  const chosen = current(answer, asked);
  drawList(answer, asked, chosen);
  find("#map").hidden = !chosen;
  if (!chosen) return;
  await Promise.all([
    drawMap(answer, asked, chosen),
    ask(`/v1/topics/${chosen.id}`, { ...query, limit: PAGES }).then((topic) => drawTopic(topic)),
  ]);
}

/** @param {any} answer @param {Asked} asked @param {any} chosen */
function drawList(answer, asked, chosen) {
  const root = find("#topics");
  const covers = `${asked.place} · ${asked.daysLabel}`;
  tell(find(".note", root), [covers, ` · ${t("lists.percent")}`, ...answer.model?.verdict === "scattered" ? [` · ${t("topics.scattered")}`] : []]);
  const rows = answer.topics.slice(0, LISTED).map((/** @type {any} */ row) => ({
    key: row.id,
    bots: row.bots,
    edits: row.edits,
    current: row === chosen,
    name: () => h("a", { href: `/${written({ ...asked.state, topic: row.id })}#map`, "data-topic": row.id }, h("bdi", {}, row.label)),
  }));
  split(find(".ranked", root), rows, t("topics.none"));
  const rest = find("#topics-rest");
  rest.hidden = !answer.topics.length;
  say(rest, t("topics.rest", { share: format.percent(answer.none.share) }));
  figures.offer(find(".data", root), {
    name: "topics",
    title: t("topics.title"),
    covers,
    columns: [
      { label: t("data.topic") },
      { label: t("data.words") },
      { label: t("data.edits"), show: format.count },
      { label: t("data.by-bots"), show: format.count },
    ],
    rows: answer.topics.length ? [...answer.topics, { ...answer.none, label: t("topics.other"), words: [] }].map((row) =>
      [row.label, row.words.join(", "), row.edits, row.bots]) : [],
    specification: specs.splits(answer.topics.slice(0, 20).map((/** @type {any} */ row) =>
      ({ name: row.label, bots: row.bots, humans: row.humans }))),
  });
}

/** @param {any} answer @param {Asked} asked @param {any} chosen */
async function drawMap(answer, asked, chosen) {
  const root = find("#map");
  say(find(".note", root), t("map.note"));
  const rows = answer.topics.filter((/** @type {any} */ row) => row.edits).slice(0, MAPPED);
  const spots = rows.map((/** @type {any} */ row) => ({
    id: row.id,
    x: row.x,
    y: row.y,
    edits: row.edits,
    share: row.bots / row.edits,
    label: row.label,
    chosen: row === chosen,
    text: `${row.label}\n${t("topics.sentence", { share: format.percent(row.bots / row.edits), edits: format.count(row.edits) }, row.edits)}`,
  }));
  figures.offer(find(".data", root), {
    name: "map",
    title: t("map.title"),
    covers: `${asked.place} · ${asked.daysLabel}`,
    columns: [
      { label: t("data.topic") },
      { label: "x", show: format.decimal },
      { label: "y", show: format.decimal },
      { label: t("data.edits"), show: format.count },
      { label: t("data.share"), show: format.percent },
    ],
    rows: rows.map((/** @type {any} */ row) => [row.label, row.x, row.y, row.edits, row.bots / row.edits]),
    specification: specs.map(spots, { picture: true }),
  });
  await charts.draw(find("#map-chart"), `map ${answer.model.id} ${spots.length}`, specs.map(spots), (view) =>
    view.addEventListener("click", (/** @type {any} */ _, /** @type {any} */ item) => {
      const id = item?.datum?.id;
      if (id) find("#map-chart").dispatchEvent(new CustomEvent("topic", { bubbles: true, detail: id }));
    }));
}

/** @param {any} answer of /v1/topics/{id} */
function drawTopic({ topic, classes, pages }) {
  const edits = new Map(classes.map((/** @type {any} */ one) => [one.name, one.edits]));
  tell(find("#topic-title"), [h("bdi", {}, topic.label)]);
  tell(find("#topic-sentence"), topic.edits
    ? parts("topics.sentence", { share: h("strong", {}, format.percent(topic.bots / topic.edits)), edits: format.count(topic.edits) }, topic.edits)
    : [t("lists.none")]);
  bar(find("#topic-bar"), CLASSES.map((one) => ({ ...one, edits: edits.get(one.name) ?? 0 })), (part, row) => {
    part.title = `${row.label}: ${format.count(row.edits)}`;
  });
  tell(find("#topic-words"), topic.words.flatMap((/** @type {string} */ word, /** @type {number} */ at) =>
    [...at ? [" · "] : [], h("a", { href: `?q=${encodeURIComponent(word)}#changes`, "data-search": word }, h("bdi", {}, word))]));
  ranked(find("#topic-pages"), pages.map((/** @type {any} */ row) => ({
    key: `${row.project} ${row.title}`,
    edits: row.edits,
    text: row.title,
    name: () => h("span", {}, links.named(row.title, links.page(row.project, row.title)), h("span", { class: "project" }, ` ${row.project}`)),
  })), t("lists.none"));
}
