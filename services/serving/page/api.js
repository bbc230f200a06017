/**
 * Asks the API. Every answer is remembered with its ETag under the question it belongs to, so that
 * asking again costs a 304 while nothing has changed, and the same object comes back. The page takes
 * partial answers, because it says that they are partial.
 */

/** An answer that is no success, in the words of its problem document (RFC 9457). */
export class Problem extends Error {
  /** @param {number} status @param {string} title @param {string} detail */
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

/** No answer at all. */
export class Unreachable extends Error {}

const REMEMBERED = 64;
/** @type {Map<string, {etag: string, body: any}>} */
const memory = new Map();

/**
 * A count: an answer that stands on a generation and a visible position.
 * @param {string} path
 * @param {Record<string, string | number>} [query]
 * @param {{at?: string, signal?: AbortSignal}} [options] `at` pins the answer; it is no part of the question
 * @returns {Promise<any>} the same object as before while the answer is the same
 */
export function ask(path, query = {}, { at, signal } = {}) {
  const asked = Object.entries({ ...query, allow: "partial" }).map(([name, value]) => [name, String(value)]);
  return get(`${path}?${new URLSearchParams(asked)}`, { at, signal });
}

/** What is so at the moment: status, runs, the audit. @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export function look(path, signal) {
  return get(path, { signal });
}

/** @param {string} question @param {{at?: string, signal?: AbortSignal}} options */
async function get(question, { at, signal }) {
  const known = memory.get(question);
  /** @type {Record<string, string>} */
  const headers = known ? { "If-None-Match": known.etag } : {};
  const response = await reach(at ? `${question}&at=${encodeURIComponent(at)}` : question, { headers, signal });
  if (response.status === 304 && known) return known.body;
  if (!response.ok) throw await problem(response);
  const body = await response.json();
  remember(question, response.headers.get("ETag"), body);
  return body;
}

/** @param {string} path @returns {Promise<any>} */
export async function post(path) {
  const response = await reach(path, { method: "POST" });
  if (!response.ok) throw await problem(response);
  return response.json();
}

/** @param {string} address @param {RequestInit} options */
async function reach(address, options) {
  try {
    return await fetch(address, { cache: "no-store", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable("the server does not answer");
  }
}

/** @param {Response} response */
async function problem(response) {
  const said = await response.json().catch(() => ({}));
  return new Problem(response.status, String(said.title ?? response.statusText), String(said.detail ?? ""));
}

/** @param {string} question @param {string | null} etag @param {any} body */
function remember(question, etag, body) {
  memory.delete(question);
  if (etag) memory.set(question, { etag, body });
  if (memory.size > REMEMBERED) memory.delete(memory.keys().next().value ?? "");
}
