// Port links in the lesson and the Ports menu: what listens on the nodes, and opening it in a new tab.

import { h, icon, item, popover, toast } from "./dom.js";

/** While the page is looked at and something waits for a port, the nodes are asked this often. */
const pollMilliseconds = 4000;
/** After a command began it may be a server: look soon. */
const afterStartMilliseconds = [700, 2500];

/** Where a browser is better sent with https. */
const securePorts = new Set([443, 6443, 8443]);

/** @typedef {{port: number, process?: string}} Port */

export class Ports extends EventTarget {
  /**
   * What listens, by node.
   * @type {Map<string, Port[]>}
   */
  #open = new Map();
  #store;
  /** @type {string[]} */ #asked = [];

  /** @param {import("./lab.js").LabStore} store */
  constructor(store) {
    super();
    this.#store = store;
    store.addEventListener("server-event", event => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if (detail.type === "ports") this.#set(detail.node, detail.ports ?? []);
    });
    setInterval(() => { if (!document.hidden && this.#waiting) this.#refreshAll(); }, pollMilliseconds);
    for (const type of ["command-start", "command-end"]) {
      document.addEventListener(type, event => {
        const { node } = /** @type {any} */ (event.target);
        for (const delay of type === "command-start" ? afterStartMilliseconds : [200]) setTimeout(() => { if (store.running) this.refresh(node); }, delay);
      });
    }
    store.addEventListener("lab", () => {
      if (!store.running) {
        this.#open.clear();
        this.#asked = [];
        this.#mark();
        return;
      }
      for (const node of store.lab?.nodes ?? []) {
        if (node.state !== "ready") this.#asked = this.#asked.filter(name => name !== node.name);
        else if (store.lab?.state === "ready" && !this.#asked.includes(node.name)) {
          this.#asked.push(node.name);
          this.refresh(node.name);
        }
      }
    });
  }

  /** Number of ports that can be opened now. */
  get count() { return [...this.#open.values()].reduce((sum, ports) => sum + ports.length, 0); }

  /** Does the lesson show a link whose port nobody listens on, or is there one that may close? */
  get #waiting() { return this.#store.running && (document.querySelector("a.port-link") !== null || this.count > 0); }

  #refreshAll() {
    for (const node of this.#store.lab?.nodes ?? []) if (node.state === "ready") this.refresh(node.name);
  }

  /** @param {string} node */
  async refresh(node) {
    const { lab } = this.#store;
    if (lab?.state !== "ready" || lab.nodes.find(other => other.name === node)?.state !== "ready") return;
    try { this.#set(node, await this.#store.ports(node)); } catch { /* the next event tells */ }
  }

  /** @param {string} node @param {any[]} ports */
  #set(node, ports) {
    /** @type {Map<number, Port>} */ const found = new Map();
    for (const entry of ports) {
      found.set(entry.port, { port: entry.port, process: found.get(entry.port)?.process ?? entry.process });
    }
    const list = [...found.values()].sort((a, b) => a.port - b.port);
    if (JSON.stringify(list) === JSON.stringify(this.#open.get(node))) return;
    this.#open.set(node, list);
    this.#mark();
  }

  /** @param {string} node @param {number} port */
  isOpen(node, port) { return this.#open.get(node)?.some(entry => entry.port === port) ?? false; }

  /** Gives each port link of the lesson its badge. */
  decorate() {
    for (const link of /** @type {any} */ (document.querySelectorAll("a.port-link"))) {
      if (link.querySelector(".port-badge")) continue;
      const badge = h("span.port-badge");
      link.append(badge);
      link.addEventListener("click", (/** @type {Event} */ event) => {
        event.preventDefault();
        this.openPort(nodeOf(link), Number(link.dataset.port), link.dataset.protocol ?? "http", link.dataset.path ?? "/");
      });
    }
    this.#mark();
  }

  #mark() {
    for (const link of /** @type {any} */ (document.querySelectorAll("a.port-link"))) {
      const badge = link.querySelector(".port-badge");
      if (!badge) continue;
      const [node, port] = [nodeOf(link), Number(link.dataset.port)];
      const open = this.isOpen(node, port);
      link.classList.toggle("open", open);
      badge.replaceChildren(icon(open ? "external" : "clock"), open ? `${node}:${port}` : this.#store.running ? `waiting for something to listen on ${port}` : `${node}:${port}`);
      link.title = open ? `Opens port ${port} of ${node} in a new tab` : `Nothing listens on port ${port} of ${node} yet`;
    }
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {string} node @param {number} port @param {string} protocol @param {string} [path]
   */
  async openPort(node, port, protocol, path = "/") {
    if (!this.#store.running) {
      toast(`Port ${port} is on ${node}, which runs only while your lab does. Start the lab first.`, { level: "warning" });
      return;
    }
    const tab = window.open("", "_blank"); // while the click still allows it
    try {
      const [place, hash = ""] = path.split("#");
      const address = await this.#store.portAddress(node, port, protocol, place || "/") + (hash && `#${hash}`);
      if (tab) {
        tab.opener = null;
        tab.location.replace(address);
      } else {
        toast("The browser kept the new tab from opening.", { stay: true, action: ["Open it", () => window.open(address, "_blank", "noopener")] });
      }
    } catch (error) {
      tab?.close();
      toast(/** @type {Error} */ (error).message, { level: "danger", title: `Port ${port} of ${node} could not be opened` });
    }
  }

  /** @param {HTMLElement} button */
  menu(button) {
    popover(button, close => {
      const nodes = this.#store.lab?.nodes.filter(node => node.state === "ready") ?? [];
      if (nodes.length === 0) return [h("h2", {}, "Ports"), h("p.note", {}, "Ports of your nodes can be opened here once the lab runs.")];
      const found = nodes.flatMap(node => (this.#open.get(node.name) ?? []).map(entry => ({ node: node.name, ...entry })));
      const select = h("select", { "aria-label": "Node" }, ...nodes.map(node => h("option", { value: node.name }, node.name)));
      const number = h("input", { type: "number", min: 1, max: 65535, placeholder: "Port", "aria-label": "Port", required: true });
      const protocol = h("select", { "aria-label": "Protocol" }, h("option", { value: "http" }, "http"), h("option", { value: "https" }, "https"));
      const form = h("form.port-form", {}, select, number, protocol, h("button.button.small.primary", { type: "submit" }, "Open"));
      form.addEventListener("submit", (/** @type {Event} */ event) => {
        event.preventDefault();
        const [node, port, scheme] = [select.value, Number(number.value), protocol.value];
        close();
        this.openPort(node, port, scheme);
      });
      return [
        h("h2", {}, found.length ? "Listening now" : "Nothing listens on a port yet"),
        ...found.map(({ node, port, process }) => item(`${node}:${port}`, "external", () => { close(); this.openPort(node, port, securePorts.has(port) ? "https" : "http"); }, { end: process })),
        found.length ? null : h("p.note", {}, "Start a server in a terminal and it shows up here."),
        h("hr"), h("h2", {}, "Any port"), form,
      ];
    }, { label: "Ports" });
  }
}

/** @param {HTMLElement} link */
function nodeOf(link) {
  const node = link.dataset.node ?? "1";
  return /^\d+$/.test(node) ? `node${node}` : node;
}
