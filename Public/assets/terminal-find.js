// The find bar of a terminal: finds as one types, upwards first, since the newest output is at the bottom.

import { h, icon } from "./dom.js";

export class FindBar {
  #search; #view;
  #input; #count = h("span.count", { "aria-live": "polite" });
  #bar;
  /** @type {{dispose: () => void} | undefined} */ #listener;
  #options;

  /**
   * @param {any} search xterm's search add-on
   * @param {import("./terminal-view.js").TerminalView} view
   * @param {HTMLElement} host behind which the bar is put
   */
  constructor(search, view, host) {
    this.#search = search;
    this.#view = view;
    const style = getComputedStyle(view);
    const wash = style.getPropertyValue("--term-selection").trim();
    const strong = style.getPropertyValue("--term-yellow").trim();
    this.#options = { decorations: { matchBackground: wash, activeMatchBackground: strong, matchOverviewRuler: wash, activeMatchColorOverviewRuler: strong } };
    this.#input = h("input", { type: "search", "aria-label": `Find in ${view.label}`, placeholder: "Find", spellcheck: "false" });
    this.#input.addEventListener("input", () => this.#go(true));
    this.#input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      if (event.key === "Enter") this.#go(!event.shiftKey);
      else this.close();
    });
    this.#listener = search.onDidChangeResults?.((/** @type {any} */ results) => {
      this.#count.textContent = !results || results.resultCount === 0 ? "no match" : results.resultIndex < 0 ? `${results.resultCount}` : `${results.resultIndex + 1} of ${results.resultCount}`;
    });
    const tool = (/** @type {string} */ symbol, /** @type {string} */ name, /** @type {() => void} */ act) => h("button.icon-button", { type: "button", "aria-label": name, onclick: act }, icon(symbol, "small"));
    this.#bar = h("div.term-find", { role: "search" }, this.#input, this.#count,
      tool("up", "Previous match", () => this.#go(true)), tool("down", "Next match", () => this.#go(false)), tool("close", "Close find", () => this.close()));
    host.after(this.#bar);
    this.#input.focus();
  }

  get isConnected() { return this.#bar.isConnected; }
  select() { this.#input.select(); }

  close() {
    this.#listener?.dispose();
    this.#search.clearDecorations();
    this.#bar.remove();
    this.#view.focusTerminal();
  }

  /** @param {boolean} back */
  #go(back) {
    const { value } = this.#input;
    if (!value) {
      this.#search.clearDecorations();
      this.#count.textContent = "";
    } else if (back) this.#search.findPrevious(value, this.#options);
    else this.#search.findNext(value, this.#options);
  }
}
