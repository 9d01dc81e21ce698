// <lectern-terminals>: the tabs and panes of a lab's terminals, one tab per shell, in one pane, side by side or stacked.

import { h, icon, item, popover, remember, remembered, toast } from "./dom.js";
import { findJoin } from "./join-command.js";
import { TerminalView } from "./terminal-view.js";
import { nodeWords } from "./words.js";

/** Panes shown at once; more terminals are behind their tabs. */
const paneLimit = { one: 1, side: 2, stack: 3 };
/** A stacked pane is not made lower than this. */
const paneHeightPixels = 150;
/** Where less than this is left for both, the cluster view takes the place of the terminals. */
const sharedHeightPixels = 480;
const fontSizes = { smallest: 9, usual: 14, largest: 28 };

/** @typedef {"one" | "side" | "stack"} Layout */

export class Terminals extends HTMLElement {
  /** @type {import("./lab.js").Lab | null} */ #lab = null;
  /** @type {TerminalView[]} */ #views = [];
  /**
   * Keys of the terminals in panes, in order.
   * @type {string[]}
   */
  #shown = [];
  /** @type {TerminalView | null} */ #active = null;
  /** Whether the active one is the learner's choice; until then it is the first. */ #chosen = false;
  /** @type {Layout | null} */ #layout = null;
  #settings = { fontSize: fontSizes.usual, screenReader: false, ...remembered("terminal", {}) };
  #tabs = h("div.term-tabs", { role: "tablist", "aria-label": "Terminals" });
  #panes = h("div.term-panes.one");
  #layoutButton = h("button.icon-button", { type: "button", "aria-haspopup": "menu", onclick: () => this.#layoutMenu() });
  #addButton = h("button.icon-button", { type: "button", "aria-label": "New shell", title: "New shell", onclick: () => this.#addMenu() }, icon("plus"));
  #moreButton = h("button.icon-button", { type: "button", "aria-haspopup": "menu", "aria-label": "Terminal menu", title: "Terminal menu", onclick: () => this.#moreMenu() }, icon("more"));
  /** The view of the cluster, made when it is first wanted. @type {any} */ #cluster = null;
  #clusterButton = h("button.cluster-tab", { type: "button", "aria-pressed": "false", title: "What lives in the cluster, as it changes", onclick: () => this.showCluster(!this.clusterShown) }, icon("cluster", "small"), "Cluster");
  /**
   * Nodes that were ready and are not now: their terminals begin anew.
   * @type {Set<string>}
   */
  #away = new Set();
  /**
   * Keys of the shells beside the first of each node, kept so that a reload finds them.
   * @type {string[]}
   */
  #extra = [];

  connectedCallback() {
    if (this.childElementCount) return;
    const find = h("button.icon-button.hide-small", { type: "button", "aria-label": "Find in the terminal", title: "Find (Ctrl+Shift+F)", onclick: () => this.#active?.openFind() }, icon("search"));
    this.append(
      h("div.term-bar", {}, this.#tabs, this.#addButton, this.#clusterButton, h("span.spacer"), find, this.#layoutButton, this.#moreButton),
      this.#panes);
    this.#tabs.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#tabKey(event));
    this.addEventListener("terminal-focus", event => this.#focused(/** @type {TerminalView} */ (event.target)));
    this.addEventListener("terminal-state", () => this.#draw());
    this.addEventListener("command-end", event => this.#commandEnded(/** @type {TerminalView} */ (event.target)));
    this.addEventListener("command-end", event => this.#lookForJoin(/** @type {TerminalView} */ (event.target), /** @type {CustomEvent} */ (event).detail));
    this.addEventListener("terminal-again", event => this.#again(/** @type {TerminalView} */ (event.target)));
    new ResizeObserver(() => this.#draw()).observe(this.#panes);
    new ResizeObserver(() => this.#shareRoom()).observe(this);
  }

  disconnectedCallback() {
    for (const view of this.#views) view.dispose();
    this.#views = [];
  }

  get views() { return this.#views; }
  get active() { return this.#active; }
  get layout() { return this.#layout ?? "one"; }

  /**
   * Follows a lab: a terminal for each shell of each node that is ready.
   * @param {import("./lab.js").Lab} lab
   */
  follow(lab) {
    if (this.#lab?.id !== lab.id) {
      const kept = remembered("shells", {});
      this.#extra = kept.lab === lab.id ? kept.keys : [];
    }
    this.#lab = lab;
    this.#cluster?.follow(lab);
    this.#layout ??= remembered("layout", lab.nodes.length > 1 && innerWidth >= 600 ? "stack" : "one");
    for (const node of lab.nodes) {
      if (node.state !== "ready" && this.#views.some(view => view.node === node.name)) this.#away.add(node.name);
      if (node.state !== "ready") continue;
      if (this.#away.delete(node.name) || this.#views.some(view => view.node === node.name && view.gone)) {
        for (const old of this.#views.filter(view => view.node === node.name)) this.#remove(old);
        this.#keep(this.#extra.filter(key => !key.startsWith(`${node.name}/`)));
      }
      this.#ensure(node.name, "1");
      for (const key of this.#extra) if (key.startsWith(`${node.name}/`)) this.#ensure(node.name, key.slice(node.name.length + 1));
    }
    this.#draw();
  }

  /** @param {string} node @param {string} name */
  #ensure(node, name) {
    const known = this.#views.find(view => view.node === node && view.options.name === name);
    if (known) return known;
    const address = this.#lab?.nodes.find(other => other.name === node)?.address ?? "";
    const view = /** @type {TerminalView} */ (document.createElement("lectern-terminal"));
    view.configure({ lab: this.#lab?.id ?? "", node, name, address, settings: this.#settings });
    view.id = `terminal-${node}-${name}`;
    this.#views.push(view);
    const order = this.#lab?.nodes.map(other => other.name) ?? [];
    this.#views.sort((a, b) => order.indexOf(a.node) - order.indexOf(b.node) || Number(a.options.name) - Number(b.options.name));
    this.#panes.insertBefore(view, this.#views[this.#views.indexOf(view) + 1] ?? null);
    if (this.#shown.length < this.#room()) this.#shown.push(view.key);
    if (!this.#active || !this.#chosen) this.#activate(this.#views[0], false);
    return view;
  }

  /** @param {TerminalView} view */
  #remove(view) {
    this.#views = this.#views.filter(other => other !== view);
    this.#shown = this.#shown.filter(key => key !== view.key);
    view.dispose();
    if (this.#active === view) {
      this.#active = null;
      const next = this.#views.find(other => other.node === view.node) ?? this.#views[0];
      if (next) this.#activate(next, false);
    }
  }

  /** How many panes fit. */
  #room() {
    const layout = this.layout;
    if (layout === "one") return 1;
    const { clientWidth, clientHeight } = this.#panes;
    if (layout === "side") return clientWidth && clientWidth < 480 ? 1 : paneLimit.side;
    return clientHeight ? Math.max(1, Math.min(paneLimit.stack, Math.floor(clientHeight / paneHeightPixels))) : paneLimit.stack;
  }

  /** @param {TerminalView} view @param {boolean} [focus] */
  #activate(view, focus = true) {
    const before = this.#active;
    this.#active = view;
    if (!this.#shown.includes(view.key)) {
      const at = before ? this.#shown.indexOf(before.key) : -1;
      if (this.#shown.length < this.#room()) this.#shown.push(view.key);
      else this.#shown[at < 0 ? 0 : at] = view.key;
    }
    delete view.dataset.unseen;
    if (focus && this.#panes.hidden) this.showCluster(false);
    this.#draw();
    if (focus) requestAnimationFrame(() => view.focusTerminal());
  }

  /**
   * Brings a terminal to the front.
   * @param {TerminalView} view
   * @param {boolean} [focus]
   */
  activate(view, focus = true) {
    if (!this.#views.includes(view)) return;
    this.#chosen = true;
    this.#activate(view, focus);
  }

  /** @param {TerminalView} view */
  #focused(view) {
    this.#chosen = true;
    if (this.#active === view) return;
    this.#active = view;
    delete view.dataset.unseen;
    this.#draw();
  }

  /** @param {TerminalView} view */
  #commandEnded(view) {
    if (this.#shown.includes(view.key) && this.offsetParent) return;
    view.dataset.unseen = "true";
    this.#draw();
    const tab = this.#tabs.querySelector(`[data-key="${view.key}"]`);
    tab?.classList.remove("flash");
    requestAnimationFrame(() => tab?.classList.add("flash"));
  }

  /** @param {TerminalView} view */
  #again(view) {
    const { node, name } = view.options;
    const wasActive = this.#active === view;
    this.#remove(view);
    const fresh = this.#ensure(node, name);
    if (wasActive) this.#activate(fresh);
    this.#draw();
  }

  // The cluster

  get clusterShown() { return this.classList.contains("with-cluster"); }

  /** @param {boolean} shown */
  async showCluster(shown) {
    this.classList.toggle("with-cluster", shown);
    this.#clusterButton.setAttribute("aria-pressed", String(shown));
    if (shown && !this.#cluster) {
      if (!document.querySelector("link[href='/assets/cluster.css']")) document.head.append(h("link", { rel: "stylesheet", href: "/assets/cluster.css" }));
      try {
        await import("./cluster-view.js");
      } catch {
        toast("The cluster view could not be loaded. Try again in a moment.", { level: "danger" });
        this.classList.remove("with-cluster");
        this.#clusterButton.setAttribute("aria-pressed", "false");
        return;
      }
      this.#cluster ??= document.createElement("lectern-cluster");
      this.#panes.before(this.#cluster);
      if (this.#lab) this.#cluster.follow(this.#lab);
    }
    this.#shareRoom();
  }

  /** Cluster and terminals stand above each other where there is room, else the cluster stands alone. */
  #shareRoom() {
    const shown = this.clusterShown;
    if (this.#cluster) {
      this.#cluster.hidden = !shown;
      this.#cluster.shown = shown && this.offsetParent !== null;
    }
    const alone = shown && this.clientHeight > 0 && this.clientHeight < sharedHeightPixels;
    if (this.#panes.hidden === alone) return;
    this.#panes.hidden = alone;
    this.#draw();
  }

  /** A join command that no block asked for is offered in passing. @param {TerminalView} view @param {{status: number, byPage: boolean}} end */
  async #lookForJoin(view, end) {
    if (end.byPage || end.status !== 0 || view.link !== "live") return;
    const join = findJoin(await view.lastOutput());
    if (join) this.dispatchEvent(new CustomEvent("join-found", { bubbles: true, detail: { join, node: view.node } }));
  }

  // The tabs

  #draw() {
    const room = this.#room();
    const all = this.#views.map(view => view.key);
    this.#shown = this.#shown.filter(key => all.includes(key));
    while (this.#shown.length > room) {
      const at = this.#shown.findIndex(key => key !== this.#active?.key);
      this.#shown.splice(at < 0 ? 0 : at, 1);
    }
    if (this.#shown.length < Math.min(room, all.length)) {
      for (const key of all) if (this.#shown.length < room && !this.#shown.includes(key)) this.#shown.push(key);
      this.#shown.sort((a, b) => all.indexOf(a) - all.indexOf(b));
    }
    this.#panes.className = `term-panes ${this.#shown.length > 1 ? this.layout : "one"}`;
    for (const view of this.#views) {
      const visible = this.#shown.includes(view.key);
      if (view.hidden === visible) view.hidden = !visible;
      view.classList.toggle("active", view === this.#active);
      view.style.order = String(this.#shown.indexOf(view.key));
    }
    this.#drawTabs();
    const words = { one: "One terminal", side: "Side by side", stack: "Stacked" };
    this.#layoutButton.replaceChildren(icon(this.layout));
    this.#layoutButton.setAttribute("aria-label", `Layout: ${words[this.layout]}`);
    this.#layoutButton.title = `Layout: ${words[this.layout]}`;
  }

  #drawTabs() {
    const wanted = this.#views.map(view => view.key).join(" ");
    if (this.#tabs.dataset.keys !== wanted) {
      this.#tabs.dataset.keys = wanted;
      this.#tabs.replaceChildren(...this.#views.map(view => this.#makeTab(view)));
    }
    for (const tab of /** @type {any} */ (this.#tabs.children)) {
      const view = this.#views.find(other => other.key === tab.dataset.key);
      if (!view) continue;
      const active = view === this.#active;
      tab.classList.toggle("active", active);
      tab.classList.toggle("visible", this.#shown.includes(view.key));
      tab.classList.toggle("unseen", view.dataset.unseen === "true");
      const button = tab.firstElementChild;
      button.setAttribute("aria-selected", String(active));
      button.tabIndex = active ? 0 : -1;
      const state = this.#lab?.nodes.find(node => node.name === view.node)?.state ?? "gone";
      const shown = state === "ready" && view.link !== "live" ? (view.dead ? "gone" : "creating") : state;
      button.firstElementChild.className = `dot ${shown}`;
      button.setAttribute("aria-label", `${view.label}, ${view.dead ? "shell ended" : state === "ready" && view.link === "reconnecting" ? "reconnecting" : nodeWords[state] ?? state}${view.busy ? ", running" : ""}`);
    }
  }

  /** @param {TerminalView} view */
  #makeTab(view) {
    const extra = view.options.name !== "1";
    return h("div.term-tab", { "data-key": view.key, role: "presentation" },
      h("button", { type: "button", role: "tab", "aria-controls": view.id, onclick: () => this.#activate(view) }, h("span.dot"), view.label),
      extra ? h("button.close", { type: "button", "aria-label": `Close ${view.label}`, title: "Close this tab; its shell ends", onclick: () => this.#close(view) }, icon("close", "small")) : null);
  }

  /** @param {string[]} keys */
  #keep(keys) {
    this.#extra = keys;
    remember("shells", { lab: this.#lab?.id, keys });
  }

  /** @param {TerminalView} view */
  #close(view) {
    this.#keep(this.#extra.filter(key => key !== view.key));
    view.hangUp();
    this.#remove(view);
    this.#draw();
    this.#active?.focusTerminal();
  }

  /** @param {KeyboardEvent} event */
  #tabKey(event) {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step || !this.#active) return;
    event.preventDefault();
    const next = this.#views[(this.#views.indexOf(this.#active) + step + this.#views.length) % this.#views.length];
    this.#activate(next, false);
    /** @type {HTMLElement | null} */ (this.#tabs.querySelector(`[data-key="${next.key}"] button`))?.focus();
  }

  /**
   * Opens one more shell on a node.
   * @param {string} node
   */
  open(node) {
    const names = this.#views.filter(view => view.node === node).map(view => Number(view.options.name));
    const name = String(Math.max(0, ...names) + 1);
    const view = this.#ensure(node, name);
    this.#keep([...this.#extra, view.key]);
    this.#activate(view);
    return view;
  }

  #addMenu() {
    const nodes = this.#lab?.nodes.filter(node => node.state === "ready") ?? [];
    if (nodes.length === 1) { this.open(nodes[0].name); return; }
    popover(this.#addButton, close => [h("h2", {}, "New shell on"), ...nodes.map(node => item(node.name, "terminal", () => { close(); this.open(node.name); }, { end: node.address }))], { menu: true, label: "New shell" });
  }

  #layoutMenu() {
    popover(this.#layoutButton, close => /** @type {[Layout, string][]} */ ([["one", "One terminal"], ["side", "Side by side"], ["stack", "Stacked"]])
      .map(([layout, words]) => item(words, layout, () => { close(); this.#setLayout(layout); }, { checked: layout === this.layout })), { menu: true, label: "Layout" });
  }

  /** @param {Layout} layout */
  #setLayout(layout) {
    this.#layout = layout;
    remember("layout", layout);
    if (this.#active) this.#shown = [this.#active.key];
    this.#draw();
    this.#shown.sort((a, b) => this.#views.findIndex(view => view.key === a) - this.#views.findIndex(view => view.key === b));
    this.#draw();
  }

  #moreMenu() {
    const view = this.#active;
    popover(this.#moreButton, close => {
      const act = (/** @type {() => void} */ does) => () => { close(); does(); };
      return [
        item("Copy selection", "copy", act(() => view?.copySelection()), { end: "Ctrl+Shift+C" }),
        item("Paste", "type", act(() => view?.pasteClipboard()), { end: "Ctrl+Shift+V" }),
        item("Select all", "list", act(() => view?.selectAll())),
        item("Find", "search", act(() => view?.openFind()), { end: "Ctrl+Shift+F" }),
        item("Clear scrollback", "close", act(() => view?.clearScrollback())),
        h("hr"),
        item("Larger text", "font", () => this.#setFont(this.#settings.fontSize + 1), { end: `${this.#settings.fontSize} px` }),
        item("Smaller text", "font", () => this.#setFont(this.#settings.fontSize - 1)),
        item("Screen reader mode", "access", act(() => this.#apply({ screenReader: !this.#settings.screenReader })), { checked: this.#settings.screenReader }),
      ];
    }, { menu: true, label: "Terminal" });
  }

  /** @param {number} size */
  #setFont(size) {
    this.#apply({ fontSize: Math.max(fontSizes.smallest, Math.min(fontSizes.largest, size)) });
    for (const place of document.querySelectorAll(".popover .item .end")) if (/px$/.test(place.textContent ?? "")) place.textContent = `${this.#settings.fontSize} px`;
  }

  /** @param {Partial<{fontSize: number, screenReader: boolean}>} change */
  #apply(change) {
    this.#settings = { ...this.#settings, ...change };
    remember("terminal", this.#settings);
    for (const view of this.#views) view.applySettings(this.#settings);
    if (change.screenReader !== undefined) toast(change.screenReader ? "Screen reader mode is on: output is read aloud as it comes." : "Screen reader mode is off.");
  }

  /**
   * The terminal that a block means: of node N, or the active one.
   * @param {string | undefined} number
   */
  target(number) {
    if (!number) return this.#active;
    const node = /^\d+$/.test(number) ? `node${number}` : number;
    const ofNode = this.#views.filter(view => view.node === node && !view.dead);
    return ofNode.find(view => view === this.#active) ?? ofNode[0] ?? null;
  }
}

customElements.define("lectern-terminals", Terminals);
