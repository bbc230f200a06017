/**
 * The changes as they come in, with a search. The list follows the live feed of the server; a reader who
 * pauses it, or asks for older changes, stays where they are until they go back. A span of dates is not
 * live: it is only searched.
 *
 * While the pointer or the focus is in the list, nothing in it moves.
 */

import * as api from "./api.js";
import { BY_NAME } from "./classes.js";
import { find, follow, h, say, tell } from "./dom.js";
import * as format from "./format.js";
import * as links from "./links.js";
import { parts, t } from "./strings.js";

const PAGE = 15;
const MOST = 300;
const BEAT = 1_000;
const TALK = "1,3,5,7,9,11,13,15";

/** @typedef {import("./parts.js").Asked} Asked */

/** @type {{key: string, rows: any[], next: string | null, reading: boolean, oldest: string | null}} */
let shown = { key: "", rows: [], next: null, reading: false, oldest: null };
/** @type {EventSource | null} */
let source = null;
/** @type {any[]} */
let arrived = [];
/** @type {number[]} */
let rates = [];
let came = 0;
let missed = false;
let paused = false;
/** @type {ReturnType<typeof setInterval> | undefined} */
let beating;

/** @param {Asked} asked @returns {Record<string, string | number>} */
function filters({ state }) {
  /** @type {Record<string, string | number>} */
  const asks = { project: state.project };
  if (state.q.trim()) asks.q = state.q.trim();
  if (state.who !== "all-editor-types") asks.editor_type = state.who;
  if (state.what !== "all") asks.type = state.what === "edits" ? "edit,new" : state.what;
  if (state.space !== "any") asks.namespace = state.space === "talk" ? TALK : "0";
  return asks;
}

/** @param {Asked} asked @returns {[string, Record<string, string | number>]} */
export const question = (asked) => ["/v1/changes", { ...asked.query, ...filters(asked), limit: PAGE }];

/** Whether the list is kept current by the feed, so that it need not be asked for. */
export const live = () => source !== null && source.readyState !== EventSource.CLOSED;

/** @param {any} answer @param {Asked} asked */
export function draw(answer, asked) {
  const { project, span, first, last, q, who, what, space } = asked.state;
  const key = JSON.stringify([project, span, first, last, q, who, what, space]);
  if (shown.key === key && (shown.reading || paused)) return;
  if (shown.key !== key) stop();
  shown = { key, rows: answer.changes, next: answer.next, reading: false, oldest: answer.oldest };
  render(asked);
  if (span !== "dates" && !paused && !live()) start(asked);
}

/** @param {Asked} asked */
function start(asked) {
  stop();
  const asks = Object.entries({ ...filters(asked), last: PAGE }).map(([name, value]) => [name, String(value)]);
  source = new EventSource(`/v1/changes/stream?${new URLSearchParams(asks)}`);
  source.addEventListener("message", (event) => {
    came += 1;
    arrived.push(JSON.parse(event.data));
    if (arrived.length > PAGE) arrived.shift();
  });
  for (const name of ["gap", "overrun"]) source.addEventListener(name, () => { missed = true; });
  beating = setInterval(() => beat(asked), BEAT);
}

/** No more of the feed, until the list is drawn again. */
export function stop() {
  source?.close();
  source = null;
  clearInterval(beating);
  [arrived, rates, came, missed] = [[], [], 0, false];
}

/** What has come in since the last beat goes on top. @param {Asked} asked */
function beat(asked) {
  rates = [...rates.slice(-9), came];
  came = 0;
  const feed = find("#feed");
  const held = feed.matches(":hover") || feed.contains(document.activeElement);
  if (arrived.length && !held) {
    const known = new Set(shown.rows.map((row) => row.id));
    const fresh = arrived.filter((row) => !known.has(row.id)).reverse();
    arrived = [];
    shown.rows = [...fresh, ...shown.rows].slice(0, PAGE);
    if (fresh.length) render(asked);
  }
  note(asked);
}

/** @param {Asked} asked */
export async function older(asked) {
  stop();
  const from = shown;
  const [path, asks] = question(asked);
  // What the feed brought has no cursor: the first page is asked for anew, and all others at its place.
  const cursor = from.reading ? from.next : null;
  if (from.reading && !cursor) return;
  const first = cursor ? null : await api.ask(path, asks);
  const answer = await api.ask(path, { ...asks, cursor: cursor ?? first.next ?? "" });
  if (shown.key !== from.key) return;
  const rows = [...(first?.changes ?? from.rows), ...answer.changes].slice(0, MOST);
  shown = { ...shown, rows, next: rows.length === MOST ? null : answer.next, reading: true };
  render(asked);
}

/** Stops at what is shown, or goes on. @param {Asked} asked @returns {boolean} whether it is paused now */
export function pause(asked) {
  paused = !paused;
  if (paused) stop();
  else shown.key = "";
  const button = find("#pause");
  button.setAttribute("aria-pressed", String(paused));
  say(button, t(paused ? "changes.resume" : "changes.pause"));
  note(asked);
  return paused;
}

/** Follow the stream again. */
export function newest() {
  shown.key = "";
}

/** @param {Asked} asked */
function render(asked) {
  const feed = find("#feed");
  if (shown.rows.length) follow(feed, shown.rows, (row) => row.id, change);
  else feed.replaceChildren(h("li", { class: "nothing" }, t(unfiltered(asked.state) ? "changes.none" : "changes.none-so")));
  find("#older").hidden = !shown.next;
  find("#newest").hidden = !shown.reading;
  find("#pause").hidden = asked.state.span === "dates" || shown.reading;
  note(asked);
}

/** @param {import("./state.js").State} state */
const unfiltered = ({ q, who, space }) => !q && who === "all-editor-types" && space === "any";

/** @param {Asked} asked */
function note(asked) {
  const said = [asked.place, ...(live() ? [rate()] : paused ? [t("changes.paused")] : [])];
  const kept = shown.oldest && !live() ? ["\u00a0· ", ...parts("changes.kept", { when: format.moment(Date.parse(shown.oldest)) })] : [];
  const lost = missed ? [` · ${t("changes.missed")}`] : [];
  tell(find("#changes > .note"), [said.join(" · "), ...kept, ...lost]);
}

function rate() {
  if (source?.readyState === EventSource.CONNECTING) return t("changes.connecting");
  const perSecond = rates.length ? rates.reduce((sum, one) => sum + one, 0) / rates.length : 0;
  return t("changes.live", { rate: format.decimal(perSecond) });
}

/** @param {any} row @returns {HTMLElement} */
function change(row) {
  const time = Date.parse(row.timestamp);
  const called = BY_NAME.get(row.editor_type)?.label ?? row.editor_type;
  const at = format.when(time);
  at.append(h("span", { class: "date" }, format.dayAndMonth(time)));
  return h(
    "li",
    {},
    at,
    h("span", { class: "what" },
      h("span", { class: "title" }, links.named(row.title, links.page(row.project, row.title))),
      ...row.type === "edit" ? [] : [" ", h("span", { class: "tag" }, row.type)],
      ...row.comment ? [h("bdi", { class: "comment" }, row.comment)] : []),
    h("span", { class: "who" },
      h("i", { class: `dot ${row.editor_type}`, title: called }),
      h("span", { class: "unseen" }, `${called}: `),
      row.user ? links.named(row.user, links.editor(row.project, row.user)) : h("span", { class: "unnamed" }, t("changes.no-name")),
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
  const label = t("changes.difference", { bytes: text });
  const shown = address
    ? h("a", { href: address, rel: "noreferrer noopener external", target: "_blank", "aria-label": label }, text)
    : text;
  return h("span", { class: `bytes ${side}`, title: t("changes.bytes") }, shown);
}
