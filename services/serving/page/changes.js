/**
 * The newest changes, with a search. The first page follows the stream; a reader who has asked for
 * older ones stays where they are, at the position of the page they came from, until they go back.
 */

import * as api from "./api.js";
import { BY_NAME } from "./classes.js";
import { find, follow, h, say } from "./dom.js";
import * as format from "./format.js";
import * as links from "./links.js";

const PAGE = 15;
const MOST = 300;

/** @type {{key: string, rows: any[], next: string | null, paged: boolean}} */
let shown = { key: "", rows: [], next: null, paged: false };

/** @param {import("./parts.js").Asked} asked @returns {[string, Record<string, string | number>]} */
export function question({ state, query }) {
  const asks = { ...query, limit: PAGE };
  if (state.q.trim()) asks.q = state.q.trim();
  if (state.who !== "all-editor-types") asks.editor_type = state.who;
  if (state.what === "edits") asks.type = "edit,new";
  return ["/v1/changes", asks];
}

/** @param {any} answer @param {import("./parts.js").Asked} asked */
export function draw(answer, asked) {
  const { project, span, first, last, q, who, what } = asked.state;
  const key = JSON.stringify([project, span, first, last, q, who, what]);
  if (shown.key === key && shown.paged) return;
  shown = { key, rows: answer.changes, next: answer.next, paged: false };
  render(asked);
  say(find("#changes .note"), noteOf(answer, asked));
}

/** @param {import("./parts.js").Asked} asked */
export async function older(asked) {
  if (!shown.next) return;
  const from = shown;
  const [path, asks] = question(asked);
  const answer = await api.ask(path, { ...asks, cursor: shown.next });
  if (shown.key !== from.key) return;
  shown = { ...shown, rows: [...from.rows, ...answer.changes].slice(0, MOST), next: answer.next, paged: true };
  if (shown.rows.length === MOST) shown.next = null;
  render(asked);
}

/** Follow the stream again. */
export function newest() {
  shown.key = "";
}

/** @param {import("./parts.js").Asked} asked */
function render(asked) {
  const feed = find("#feed");
  if (shown.rows.length) follow(feed, shown.rows, (row) => row.id, change);
  else feed.replaceChildren(h("li", { class: "nothing" }, nothing(asked)));
  find("#older").hidden = !shown.next;
  find("#newest").hidden = !shown.paged;
}

/** @param {import("./parts.js").Asked} asked */
function nothing({ state }) {
  return state.q || state.who !== "all-editor-types"
    ? "No change like this. Try fewer words, or everyone, or a longer span."
    : "No change here yet. Choose a longer span or another project.";
}

/** @param {any} answer @param {import("./parts.js").Asked} asked */
function noteOf(answer, asked) {
  const place = asked.state.project === "all-projects" ? "all projects" : asked.state.project;
  const kept = answer.oldest ? ` · kept whole: what came in since ${format.shortDay(Date.parse(answer.oldest))}, ${format.clock(Date.parse(answer.oldest))} UTC` : "";
  return `${place}${kept}`;
}

/** @param {any} row @returns {HTMLElement} */
function change(row) {
  const time = Date.parse(row.timestamp);
  const one = BY_NAME.get(row.editor_type);
  return h(
    "li",
    {},
    h(
      "time",
      { datetime: new Date(time).toISOString(), title: `${format.day(time)}, ${format.clock(time)} UTC` },
      format.clock(time),
      h("span", { class: "date" }, format.dayAndMonth(time)),
    ),
    h("span", { class: "what" },
      h("span", { class: "title" }, links.named(row.title, links.page(row.project, row.title))),
      ...row.type === "edit" ? [] : [" ", h("span", { class: "tag" }, row.type)],
      ...row.comment ? [h("bdi", { class: "comment" }, row.comment)] : []),
    h("span", { class: "who" },
      h("i", { class: `dot ${row.editor_type}`, title: one?.label ?? row.editor_type }),
      h("span", { class: "unseen" }, `${one?.label ?? row.editor_type}: `),
      row.user ? links.named(row.user, links.editor(row.project, row.user)) : h("span", { class: "unnamed" }, "name removed"),
      h("span", { class: "project" }, row.project)),
    bytes(row),
  );
}

/** @param {any} row */
function bytes(row) {
  if (row.type !== "edit" && row.type !== "new") return h("span", { class: "bytes" });
  const address = links.difference(row.project, row.revision);
  const text = format.signed(row.net_bytes);
  const side = row.net_bytes < 0 ? "less" : "more";
  const shown = address
    ? h("a", { href: address, rel: "noreferrer noopener external", target: "_blank", "aria-label": `${text} bytes, the difference` }, text)
    : text;
  return h("span", { class: `bytes ${side}`, title: "bytes" }, shown);
}
