/**
 * Links to the wikis. A project's name comes from the stream, so a link is made only where the
 * address that results is https on one of Wikimedia's own domains; otherwise there is only text.
 */

import { h } from "./dom.js";

const DOMAINS = [
  "wikipedia.org", "wiktionary.org", "wikibooks.org", "wikinews.org", "wikiquote.org", "wikisource.org",
  "wikiversity.org", "wikivoyage.org", "wikimedia.org", "wikidata.org", "mediawiki.org", "wikifunctions.org",
];

/** @param {string} project @returns {string | null} the origin of a project's wiki */
function origin(project) {
  const host = project.includes(".") ? `${project}.org` : `www.${project}.org`;
  let url;
  try {
    url = new URL(`https://${host}/`);
  } catch {
    return null;
  }
  const known = DOMAINS.some((domain) => url.hostname.endsWith(`.${domain}`));
  return known && url.protocol === "https:" && url.host === host ? url.origin : null;
}

/** @param {string} title */
const path = (title) => encodeURIComponent(title.replaceAll(" ", "_")).replaceAll("%2F", "/").replaceAll("%3A", ":");

/** @param {string} project @param {string} title */
export function page(project, title) {
  const base = origin(project);
  return base && title ? `${base}/wiki/${path(title)}` : null;
}

/** @param {string} project @param {string} user */
export function editor(project, user) {
  return user ? page(project, `Special:Contributions/${user}`) : null;
}

/** @param {string} project @param {number} revision */
export function difference(project, revision) {
  const base = origin(project);
  return base && revision > 0 ? `${base}/w/index.php?diff=${Math.trunc(revision)}` : null;
}

/**
 * A stranger's text, isolated so that its direction does not leak; a link where there is an address.
 * @param {string} text
 * @param {string | null} address
 */
export function named(text, address) {
  const isolated = h("bdi", {}, text);
  if (!address) return isolated;
  return h("a", { href: address, rel: "noreferrer noopener external", target: "_blank" }, isolated);
}
