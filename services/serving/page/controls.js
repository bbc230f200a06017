/** What can be chosen: project, span, search and the forms of two parts. Shows a state, and tells of choices. */

import { find, follow, h, mark } from "./dom.js";
import * as spans from "./span.js";
import { written } from "./state.js";
import { language, t } from "./strings.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {(change: Partial<State>, options?: {replace?: boolean}) => void} Choose */

/** @param {State} state @param {spans.Facts | null} known */
export function show(state, known) {
  const kind = state.span || (known ? spans.suits(known.kind) : "");
  for (const radio of find("#controls").elements.span) radio.checked = radio.value === kind;
  const dates = find("#dates");
  dates.hidden = kind !== "dates";
  for (const name of ["first", "last"]) {
    const input = find(`[name=${name}]`, dates);
    const fallback = known?.[name] ? new Date(spans.fromDay(known[name])).toISOString().slice(0, 10) : "";
    if (document.activeElement !== input) input.value = state[name] || fallback;
  }
  for (const button of document.querySelectorAll("[data-course], [data-words]")) {
    const { course, words: lists } = button.dataset;
    button.setAttribute("aria-pressed", String(course ? course === state.course : lists === state.words));
  }
  const search = find("#search").elements;
  for (const name of ["q", "who", "what", "space"]) {
    if (document.activeElement !== search[name]) search[name].value = state[name];
  }
  for (const link of document.querySelectorAll("#languages a")) {
    link.setAttribute("href", `/${written({ ...state, lang: link.hreflang })}`);
    mark(link, link.hreflang === language);
  }
}

/** @param {{project: string}[]} projects most edits first @param {State} state */
export function offer(projects, state) {
  const select = find("#project");
  if (document.activeElement === select) return;
  const names = projects.map((row) => row.project);
  const all = ["all-projects", ...(names.includes(state.project) || state.project === "all-projects" ? [] : [state.project]), ...names];
  follow(
    select,
    all,
    (name) => name,
    (name) => h("option", { value: name }, name === "all-projects" ? t("controls.all-projects") : name),
  );
  select.value = state.project;
}

/** @param {Choose} choose */
export function listen(choose) {
  find("#controls").addEventListener("change", (/** @type {Event} */ event) => chooseSpan(event, choose));
  find("#search").addEventListener("input", (/** @type {Event} */ event) => chooseSearch(event, choose));
  document.addEventListener("click", (event) => press(event, choose));
  find("#map-chart").addEventListener("topic", (/** @type {CustomEvent} */ event) => choose({ topic: event.detail }, { replace: true }));
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
}

/** @param {any} event @param {Choose} choose */
function chooseSpan({ target }, choose) {
  if (target.name === "project") choose({ project: target.value });
  if (target.name === "span") {
    const dates = find("#dates");
    const given = target.value === "dates" ? { first: find("[name=first]", dates).value, last: find("[name=last]", dates).value } : { first: "", last: "" };
    choose({ span: target.value, ...given });
  }
  if (target.name === "first" || target.name === "last") choose({ span: "dates", [target.name]: target.value });
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;
/** @param {any} event @param {Choose} choose */
function chooseSearch({ target }, choose) {
  clearTimeout(typing);
  const pause = target.name === "q" ? 250 : 0;
  typing = setTimeout(() => choose({ [target.name]: target.value }, { replace: true }), pause);
}

/** @param {any} event @param {Choose} choose */
function press(event, choose) {
  const { course, words: whose } = event.target.closest("button")?.dataset ?? {};
  if (course) choose({ course }, { replace: true });
  if (whose) choose({ words: whose }, { replace: true });
  const link = event.target.closest("[data-search], [data-project], [data-topic]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { search, project, topic } = link.dataset;
  if (project) choose({ project });
  else if (topic) choose({ topic }, { replace: true });
  else choose({ q: search });
  find(project ? "#share" : topic ? "#map" : "#changes").scrollIntoView({ behavior: "smooth" });
}
