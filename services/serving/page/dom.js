/**
 * The only way in which this page makes elements. Text becomes text nodes and nothing else, so a
 * title that looks like markup stays a title. There is no markup here, and no style or event
 * attribute: the Content-Security-Policy refuses both.
 */

const REFUSED = /^(on|style$|src)/i;

/**
 * An element with attributes and children; strings become text.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (REFUSED.test(name)) throw new TypeError(`attribute ${name} is refused`);
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** @param {string} selector @param {ParentNode} [root] @returns {any} */
export function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`no ${selector} on the page`);
  return found;
}

/** Text of an element, touched only when it differs. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Text with elements in it, touched only when it differs. @param {Element} element @param {(Node | string)[]} parts */
export function tell(element, parts) {
  const made = /** @type {Element} */ (element.cloneNode(false));
  made.append(...parts);
  made.normalize();
  if (!made.isEqualNode(element)) element.replaceChildren(...made.childNodes);
}

/** Whether an element is the one that is being looked at. @param {Element} element @param {boolean} current */
export function mark(element, current) {
  if (current) element.setAttribute("aria-current", "true");
  else element.removeAttribute("aria-current");
}

/**
 * Children that follow rows: kept by key, updated in place, moved only when their place changes.
 * @template T
 * @param {Element} parent
 * @param {T[]} rows
 * @param {(row: T) => string} key
 * @param {(row: T) => HTMLElement} make
 * @param {(element: HTMLElement, row: T) => void} [fill]
 */
export function follow(parent, rows, key, make, fill = () => {}) {
  const old = new Map();
  for (const child of [...parent.children]) {
    if (child.dataset.key === undefined) child.remove();
    else old.set(child.dataset.key, child);
  }
  rows.forEach((row, place) => {
    const name = key(row);
    const element = old.get(name) ?? make(row);
    old.delete(name);
    element.dataset.key = name;
    fill(element, row);
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
  });
  for (const element of old.values()) element.remove();
}
