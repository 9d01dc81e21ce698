// Small tools to build elements, popovers, dialogs and passing messages without inline markup or style.

/**
 * Makes an element. Attributes that start with "on" are listeners; `null`, `undefined` and `false` are left out.
 * @param {string} tag a tag name, with classes after dots: "button.icon-button"
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter(child => child !== null && child !== undefined && child !== false).map(child => /** @type {Node | string} */ (child)));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * An icon of the sprite, hidden from screen readers: its button carries the name.
 * @param {string} name
 * @param {string} [extra] more classes
 */
export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/assets/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** @param {string} id @returns {any} */
export const byId = id => document.getElementById(id);

/**
 * Reads a setting kept in this browser.
 * @param {string} key
 * @param {any} otherwise
 */
export function remembered(key, otherwise) {
  try {
    const text = localStorage.getItem(`lectern.${key}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch { return otherwise; }
}

/** @param {string} key @param {any} value */
export function remember(key, value) {
  try { localStorage.setItem(`lectern.${key}`, JSON.stringify(value)); } catch { /* private mode: nothing to keep it in */ }
}

/**
 * Says a sentence to screen readers.
 * @param {string} words
 */
export function announce(words) {
  const place = byId("announcer");
  if (place) place.textContent = words;
}

/**
 * A message that passes by itself (unless it must be acted on).
 * @param {string} words
 * @param {{level?: "info" | "success" | "warning" | "danger", title?: string, action?: [string, () => void], stay?: boolean}} [options]
 */
export function toast(words, options = {}) {
  const box = byId("toasts");
  for (const old of box?.children ?? []) if (old.dataset.words === `${options.title ?? ""} ${words}`) old.remove();
  const close = () => item.remove();
  const item = h(`div.toast.${options.level ?? "info"}`, { "data-words": `${options.title ?? ""} ${words}` },
    h("p", {}, options.title && h("strong", {}, options.title), words),
    options.action && h("button.button.small", { type: "button", onclick: () => { close(); options.action?.[1](); } }, options.action[0]),
    h("button.icon-button", { type: "button", "aria-label": "Dismiss", onclick: close }, icon("close", "small")));
  box?.append(item);
  while (box && box.children.length > 4) box.firstElementChild.remove();
  if (!options.stay) setTimeout(close, 8000);
  return close;
}

/** @type {{panel: HTMLElement, close: () => void} | null} */
let openPopover = null;

/**
 * Opens a popover under a button; a second click, Escape or a click elsewhere closes it.
 * @param {HTMLElement} button
 * @param {(close: () => void) => (Node | string | null)[]} content
 * @param {{label?: string, menu?: boolean}} [options] a menu moves by arrow keys
 */
export function popover(button, content, options = {}) {
  if (openPopover) {
    const same = openPopover.panel.dataset.owner === button.dataset.popover && button.dataset.popover;
    openPopover.close();
    if (same) return null;
  }
  button.dataset.popover = String(Math.random());
  const close = () => {
    if (openPopover?.panel !== panel) return;
    openPopover = null;
    panel.remove();
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    removeEventListener("resize", close);
    if (document.activeElement === document.body) button.focus();
  };
  const panel = h("div.popover", { role: options.menu ? "menu" : "dialog", "aria-label": options.label, tabindex: "-1", "data-owner": button.dataset.popover });
  panel.append(.../** @type {any} */ (content(close).filter(Boolean)));
  const outside = (/** @type {Event} */ event) => {
    const target = /** @type {Node} */ (event.target);
    if (!panel.contains(target) && !button.contains(target)) close();
  };
  panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") { event.stopPropagation(); close(); button.focus(); return; }
    if (!options.menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const items = [...panel.querySelectorAll(".item:not(:disabled)")];
    const at = items.indexOf(document.activeElement);
    const to = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : (at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length;
    items[to]?.focus();
  });
  panel.addEventListener("focusout", (/** @type {FocusEvent} */ event) => {
    if (event.relatedTarget && !panel.contains(/** @type {Node} */ (event.relatedTarget)) && event.relatedTarget !== button) close();
  });
  document.body.append(panel);
  place(panel, button.getBoundingClientRect());
  button.setAttribute("aria-expanded", "true");
  openPopover = { panel, close };
  document.addEventListener("pointerdown", outside, true);
  addEventListener("resize", close);
  (panel.querySelector(".item, button, input, select, a") ?? panel).focus();
  return { panel, close };
}

/**
 * Puts a fixed panel under (or, without room, over) a rectangle.
 * @param {HTMLElement} panel @param {DOMRect} around
 */
export function place(panel, around) {
  const { width, height } = panel.getBoundingClientRect();
  const below = around.bottom + 6;
  const top = below + height < innerHeight - 8 ? below : Math.max(8, around.top - height - 6);
  panel.style.left = `${Math.max(8, Math.min(around.left, innerWidth - width - 8))}px`;
  panel.style.top = `${top}px`;
}

/**
 * A menu item.
 * @param {string} words @param {string} symbol @param {() => void} act
 * @param {{danger?: boolean, end?: string, checked?: boolean, disabled?: boolean}} [options]
 */
export function item(words, symbol, act, options = {}) {
  return h(`button.item${options.danger ? ".danger" : ""}`, {
    type: "button", role: options.checked === undefined ? "menuitem" : "menuitemcheckbox", disabled: options.disabled,
    "aria-checked": options.checked === undefined ? null : String(options.checked), onclick: act,
  }, icon(symbol), words, options.end ? h("span.end", {}, options.end) : null, options.checked ? h("span.end", {}, icon("check", "small")) : null);
}

/**
 * Asks with a modal dialog and resolves to the chosen value, or null when dismissed.
 * @param {{title: string, body?: (Node | string)[], wide?: boolean, cancel?: string,
 *   choices?: {value: string, words: string, note?: string, kind?: string}[], actions?: {value: string, words: string, kind?: string}[]}} ask
 * @returns {Promise<string | null>}
 */
export function dialog(ask) {
  return new Promise(resolve => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    const finish = (/** @type {string | null} */ value) => { box.close(); box.remove(); before?.focus?.({ preventScroll: true }); resolve(value); };
    const button = (/** @type {any} */ it) => h(`button.button${it.kind ? "." + it.kind.replaceAll(" ", ".") : ""}`, { type: "button", "data-value": it.value, onclick: () => finish(it.value) }, it.words, it.note ? h("small", {}, it.note) : null);
    const box = h(`dialog.dialog${ask.wide ? ".wide" : ""}`, { "aria-labelledby": "dialog-title" },
      h("h2", { id: "dialog-title" }, ask.title),
      ...(ask.body ?? []),
      ask.choices ? h("div.choices", {}, ...ask.choices.map(button)) : null,
      h("div.actions", {}, h("button.button", { type: "button", onclick: () => finish(null) }, ask.cancel ?? "Cancel"), ...(ask.actions ?? []).map(button)));
    box.addEventListener("cancel", (/** @type {Event} */ event) => { event.preventDefault(); finish(null); });
    box.addEventListener("click", (/** @type {Event} */ event) => { if (event.target === box) finish(null); });
    document.body.append(box);
    box.showModal();
    (box.querySelector(".choices .button, .actions .primary") ?? box.querySelector(".button"))?.focus();
  });
}

/**
 * Copies text, also where the page is not a secure context.
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea.visually-hidden", { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    before?.focus?.({ preventScroll: true });
    return copied;
  }
}

const THEMES = { auto: ["auto", "Follow the system"], light: ["sun", "Light"], dark: ["moon", "Dark"] };

/**
 * Sets up the button that goes round system, light, dark.
 * @param {HTMLElement | null} button
 */
export function themeButton(button) {
  if (!button) return;
  const order = /** @type {("auto" | "light" | "dark")[]} */ (["auto", "light", "dark"]);
  const current = () => {
    try { return /** @type {"auto"} */ (localStorage.getItem("lectern.theme")) ?? "auto"; } catch { return "auto"; }
  };
  const show = () => {
    const [symbol, words] = THEMES[current()] ?? THEMES.auto;
    button.replaceChildren(icon(symbol));
    button.setAttribute("aria-label", `Colours: ${words}`);
    button.title = `Colours: ${words}`;
  };
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(current()) + 1) % order.length];
    try { localStorage.setItem("lectern.theme", next); } catch { /* not kept */ }
    dispatchEvent(new CustomEvent("lectern-theme-choice"));
    show();
  });
  addEventListener("storage", show);
  show();
}
