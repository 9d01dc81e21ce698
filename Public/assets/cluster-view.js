// <lectern-cluster>: the learner's cluster as it lives: nodes, their pods, services, workloads, events; a click tells more.
//
// It is connected only while it is shown and the page is in front; nothing is asked for again and again.

import { api } from "./api.js";
import { ClusterModel, commandsFor, isSystem, podTone, podWords, portWords, rolloutOf } from "./cluster-model.js";
import { h, icon, remember, remembered } from "./dom.js";

export const subprotocol = "lectern.cluster.v1";
/** After these the server does not want to be asked again. */
const finalCodes = new Set([1008, 4400, 4410]);
const retryDelaysMilliseconds = [300, 1000, 2000, 5000];
/** Tiles drawn in one node, and events in the list. */
const tileLimit = 200;
const shownEvents = 40;
/** Of a long name the beginning is cut short, but not the end, which tells pods of one kind apart. */
const tailCharacters = 6;
/** A tile that goes takes this long (CSS has the same). */
const leaveMilliseconds = 180;
const detailSeconds = 15;

/** @typedef {import("./cluster-model.js").Thing} Thing */

/**
 * Makes the children of `place` those of `things`, keeping elements (and with them focus) by uid.
 * @param {HTMLElement} place @param {Thing[]} things
 * @param {(thing: Thing) => HTMLElement} make @param {(element: any, thing: Thing) => void} update
 */
function keyed(place, things, make, update) {
  const known = new Map([.../** @type {any} */ (place.children)].filter(child => child.dataset.uid && !child.classList.contains("leaving")).map(child => [child.dataset.uid, child]));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  /** @type {Element | null} */ let before = null;
  for (const thing of things) {
    let element = known.get(thing.uid);
    known.delete(thing.uid);
    if (!element) {
      element = make(thing);
      element.dataset.uid = thing.uid;
    }
    const next = /** @type {Element | null} */ (before ? before.nextElementSibling : place.firstElementChild);
    if (element !== next) place.insertBefore(element, next);
    update(element, thing);
    before = element;
  }
  for (const element of known.values()) {
    if (still || !element.classList.contains("tile")) { element.remove(); continue; }
    element.classList.add("leaving");
    element.disabled = true;
    setTimeout(() => element.remove(), leaveMilliseconds);
  }
}

/** @param {HTMLElement} element @param {string} text */
function say(element, text) { if (element.textContent !== text) element.textContent = text; }

export class ClusterView extends HTMLElement {
  #model = new ClusterModel();
  /** @type {import("./lab.js").Lab | null} */ #lab = null;
  /** @type {WebSocket | null} */ #socket = null;
  #tries = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retry;
  #shown = false;
  #isOver = false;
  #frame = 0;
  #namespace = "";
  #system = Boolean(remembered("cluster.system", false));
  /** The service or workload whose pods are shown. @type {{kind: string, uid: string} | null} */ #pointed = null;
  /** @type {HTMLElement | null} */ #opener = null;
  #asked = 0;

  #state = h("p.cluster-state", { role: "status" });
  #select = h("select", { "aria-label": "Namespace", onchange: () => { this.#namespace = this.#select.value; this.#draw(); } });
  #toggle = h("input", { type: "checkbox", onchange: () => { this.#system = this.#toggle.checked; remember("cluster.system", this.#system); this.#draw(); } });
  #nodes = h("div.cluster-nodes", { role: "list", "aria-label": "Nodes" });
  #services = h("div.cluster-services", { role: "list" });
  #workloads = h("div.cluster-workloads", { role: "list" });
  #events = h("ol.cluster-events");
  #lines = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  #parts = { services: h("section", {}, h("h3", {}, "Services"), this.#services), workloads: h("section", {}, h("h3", {}, "Workloads"), this.#workloads), events: h("section", {}, h("h3", {}, "Events"), this.#events) };
  #body = h("div.cluster-body", { tabindex: "-1" });
  #panel = h("aside.cluster-panel", { role: "region", hidden: true });

  connectedCallback() {
    if (this.childElementCount) return;
    this.id = "cluster-view";
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Cluster");
    this.#toggle.checked = this.#system;
    this.#lines.setAttribute("class", "cluster-lines");
    this.#lines.setAttribute("aria-hidden", "true");
    this.#body.append(this.#nodes, this.#parts.services, this.#parts.workloads, this.#parts.events, this.#lines);
    this.append(
      h("div.cluster-bar", {}, this.#state, h("span.spacer"), this.#select, h("label", {}, this.#toggle, "System")),
      this.#body, this.#panel);
    for (const [type, on] of /** @type {[string, boolean][]} */ ([["pointerover", true], ["focusin", true], ["pointerleave", false], ["focusout", false]])) {
      this.#body.addEventListener(type, (/** @type {Event} */ event) => this.#point(on ? /** @type {Element} */ (event.target) : null));
    }
    this.#body.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.#panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => { if (event.key === "Escape") { event.stopPropagation(); this.#closePanel(); } });
    document.addEventListener("visibilitychange", this.#look);
    new ResizeObserver(() => this.#drawLines()).observe(this.#body);
    this.#draw();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#look);
    this.#shown = false;
    this.#look();
  }

  /** @param {import("./lab.js").Lab} lab */
  follow(lab) {
    if (this.#lab?.id !== lab.id) {
      this.#disconnect();
      this.#model = new ClusterModel();
      this.#isOver = false;
    }
    this.#lab = lab;
    this.#look();
    this.#drawSoon();
  }

  /** Whether somebody can see it. @param {boolean} shown */
  set shown(shown) {
    this.#shown = shown;
    this.#look();
  }

  // The connection

  #look = () => {
    const wants = this.#shown && !document.hidden && this.#lab !== null && !this.#isOver && this.#lab.nodes[0]?.state === "ready";
    if (wants && !this.#socket && this.#retry === undefined) this.#connect();
    if (!wants) this.#disconnect();
  };

  #disconnect() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#tries = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect() {
    this.#retry = undefined;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/labs/${encodeURIComponent(this.#lab?.id ?? "")}/cluster`, subprotocol);
    this.#socket = socket;
    socket.onmessage = message => {
      if (this.#socket !== socket || typeof message.data !== "string") return;
      this.#tries = 0;
      if (this.#model.take(message.data)) this.#drawSoon();
    };
    socket.onclose = event => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (finalCodes.has(event.code)) { this.#isOver = true; return; }
      this.#model.state = "lost";
      this.#drawSoon();
      this.#retry = setTimeout(() => { this.#retry = undefined; this.#look(); }, retryDelaysMilliseconds[Math.min(this.#tries++, retryDelaysMilliseconds.length - 1)]);
    };
  }

  // The drawing

  #drawSoon() {
    if (this.#frame || !this.isConnected) return;
    this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  /** @param {Thing} thing */
  #isShown(thing) {
    if (this.#namespace) return thing.namespace === this.#namespace;
    return this.#system || !isSystem(thing.namespace);
  }

  #draw() {
    const model = this.#model;
    const nodes = model.nodes(this.#lab?.nodes.map(node => node.name) ?? []);
    const pods = model.all("pods").filter(pod => this.#isShown(pod));
    this.#drawBar(pods.length);
    const homeless = pods.filter(pod => !nodes.some(node => node.name === pod.node));
    const boxes = homeless.length ? [...nodes, { uid: "no-node", name: "On no node yet", homeless: true }] : nodes;
    keyed(this.#nodes, boxes, node => this.#makeNode(node), (box, node) => this.#updateNode(box, node, node.homeless ? homeless : pods.filter(pod => pod.node === node.name)));
    const services = model.all("services").filter(it => this.#isShown(it));
    keyed(this.#services, services, it => this.#makeChip(it), (chip, it) => this.#updateChip(chip, it));
    this.#parts.services.hidden = services.length === 0;
    const workloads = model.topWorkloads.filter(it => this.#isShown(it));
    keyed(this.#workloads, workloads, it => this.#makeWorkload(it), (row, it) => this.#updateWorkload(row, it));
    this.#parts.workloads.hidden = workloads.length === 0;
    const events = model.events.filter(it => this.#isShown(it)).slice(0, shownEvents);
    keyed(this.#events, events, it => this.#makeEvent(it), (row, it) => this.#updateEvent(row, it));
    this.#parts.events.hidden = events.length === 0;
    this.#drawPointed();
  }

  /** @param {number} podCount */
  #drawBar(podCount) {
    const model = this.#model;
    const words = this.#isOver ? "The lab has ended."
      : model.state === "waiting" ? "No cluster yet: kubeadm init on the first node makes one."
      : model.state === "lost" ? "The cluster does not answer at the moment; shown is what was last seen."
      : model.state === "opening" ? "Looking for the cluster; this takes about a second."
      : `${podCount} ${podCount === 1 ? "pod" : "pods"}${this.#namespace ? ` in ${this.#namespace}` : this.#system ? "" : ", without those of the system"}`;
    say(this.#state, words);
    this.#state.className = `cluster-state ${model.state}`;
    const names = model.namespaces;
    if (this.#namespace && !names.includes(this.#namespace)) names.push(this.#namespace);
    const wanted = names.join(" ");
    if (this.#select.dataset.names !== wanted) {
      this.#select.dataset.names = wanted;
      this.#select.replaceChildren(h("option", { value: "" }, "All namespaces"), ...names.map(name => h("option", { value: name }, name)));
      this.#select.value = this.#namespace;
    }
    this.#select.disabled = names.length === 0;
    this.#toggle.disabled = this.#namespace !== "";
  }

  /** @param {Thing} node */
  #makeNode(node) {
    const head = node.bare || node.homeless ? h("div.node-head") : h("button.node-head", { type: "button", "data-kind": "node", "data-name": node.name, onclick: (/** @type {Event} */ event) => this.#open(event, "Node", node.name) });
    head.append(h("span.dot"), h("span.name", {}, node.name), h("span.sub"));
    return h("div.cluster-node", { role: "listitem" }, head, h("div.tiles", { role: "list", "aria-label": `Pods ${node.homeless ? "on no node yet" : `on ${node.name}`}` }), h("p.note"));
  }

  /** @param {any} box @param {Thing} node @param {Thing[]} pods */
  #updateNode(box, node, pods) {
    const [head, tiles, note] = box.children;
    const words = node.homeless ? "" : node.bare ? "not in a cluster" : [node.ready ? "Ready" : "NotReady", node.cordoned ? "cordoned" : "", ...(node.roles ?? []), node.version ?? ""].filter(Boolean).join(" · ");
    head.firstElementChild.className = `dot ${node.bare || node.homeless ? "gone" : node.ready ? "ready" : "failed"}`;
    say(head.lastElementChild, words);
    box.className = `cluster-node${node.bare ? " bare" : ""}${node.homeless ? " homeless" : ""}${!node.bare && !node.homeless && !node.ready ? " bad" : ""}`;
    if (!node.bare && !node.homeless) head.setAttribute("aria-label", `Node ${node.name}, ${words}`);
    head.title = node.why ?? "";
    keyed(tiles, pods.slice(0, tileLimit), pod => this.#makeTile(pod), (tile, pod) => this.#updateTile(tile, pod));
    const more = pods.length - tileLimit;
    say(note, node.bare || node.homeless ? "" : more > 0 ? `and ${more} more` : pods.length === 0 ? "no pods" : "");
  }

  /** @param {Thing} pod */
  #makeTile(pod) {
    return h("button.tile", { type: "button", "data-kind": "pod", onclick: (/** @type {Event} */ event) => this.#open(event, "Pod", pod.name, pod.namespace) }, h("span.name", {}, h("span.head", {}, pod.name.slice(0, -tailCharacters)), h("span", {}, pod.name.slice(-tailCharacters))), h("span.sub"));
  }

  /** @param {any} tile @param {Thing} pod */
  #updateTile(tile, pod) {
    const tone = podTone(pod);
    const pointed = tile.classList.contains("pointed") ? " pointed" : "";
    tile.className = `tile ${tone}${pointed}`;
    const state = pod.ending ? "Terminating" : pod.state ?? "";
    say(tile.lastElementChild, `${state}${state === "Running" && tone === "starting" ? ` ${pod.ready}` : ""}${pod.restarts ? ` ↻${pod.restarts}` : ""}`);
    const words = `Pod ${pod.name} in ${pod.namespace}, ${podWords({ ...pod, state })}`;
    tile.setAttribute("aria-label", words);
    tile.title = `${words}${pod.address ? `, ${pod.address}` : ""}\n${(pod.images ?? []).join(", ")}`;
  }

  /** @param {Thing} service */
  #makeChip(service) {
    return h("button.service", { type: "button", "data-kind": "service", onclick: (/** @type {Event} */ event) => this.#open(event, "Service", service.name, service.namespace) }, icon("port", "small"), h("span.name", {}, service.name), h("span.sub"));
  }

  /** @param {any} chip @param {Thing} service */
  #updateChip(chip, service) {
    const ports = (service.ports ?? []).map(portWords).join(", ");
    say(chip.lastElementChild, service.type === "ExternalName" ? `→ ${service.externalName ?? ""}` : ports);
    const count = this.#model.selectedBy(service).length;
    chip.setAttribute("aria-label", `Service ${service.name} in ${service.namespace}, ${service.type ?? "ClusterIP"}, ports ${ports || "none"}, ${count} ${count === 1 ? "pod" : "pods"}`);
    chip.title = `${service.type ?? "ClusterIP"} ${service.address ?? ""}`;
  }

  /** @param {Thing} workload */
  #makeWorkload(workload) {
    return h("button.workload", { type: "button", "data-kind": "workload", onclick: (/** @type {Event} */ event) => this.#open(event, workload.kind, workload.name, workload.namespace) },
      h("span.kind", {}, workload.kind), h("span.name", {}, workload.name), h("span.count"), h("span.meter", {}, h("span")), h("span.sub"));
  }

  /** @param {any} row @param {Thing} workload */
  #updateWorkload(row, workload) {
    const { words, tone } = rolloutOf(workload);
    const [, , count, meter, sub] = row.children;
    row.className = `workload ${tone}${row.classList.contains("pointed") ? " pointed" : ""}`;
    say(count, workload.kind === "CronJob" ? "" : `${workload.ready ?? 0}/${workload.desired ?? 0}`);
    const share = workload.desired ? Math.min(1, (workload.ready ?? 0) / workload.desired) : 1;
    meter.firstElementChild.style.setProperty("--value", String(Math.round(share * 100)));
    const generations = workload.kind === "Deployment" ? this.#model.generations(workload) : [];
    say(sub, [words, generations.length > 1 ? generations.map(it => `rev ${it.revision ?? "?"}: ${it.ready ?? 0}/${it.desired ?? 0}`).join(", ") : ""].filter(Boolean).join(" · "));
    row.setAttribute("aria-label", `${workload.kind} ${workload.name} in ${workload.namespace}, ${workload.ready ?? 0} of ${workload.desired ?? 0} ready${sub.textContent ? `, ${sub.textContent}` : ""}`);
  }

  /** @param {Thing} event */
  #makeEvent(event) {
    return h("li", {}, h("button.event", { type: "button", onclick: (/** @type {Event} */ click) => this.#open(click, event.kind, event.object, event.namespace) },
      h("span.when"), h("span.reason"), h("span.about"), h("span.message")));
  }

  /** @param {any} row @param {Thing} event */
  #updateEvent(row, event) {
    const [when, reason, about, message] = row.firstElementChild.children;
    row.firstElementChild.className = `event${event.type === "Warning" ? " warning" : ""}`;
    const time = new Date(event.at);
    say(when, Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString([], { hour12: false }));
    say(reason, `${event.reason ?? ""}${event.count > 1 ? ` ×${event.count}` : ""}`);
    say(about, `${String(event.kind ?? "").toLowerCase()}/${event.object ?? ""}`);
    say(message, event.message ?? "");
    row.firstElementChild.title = event.message ?? "";
  }

  // What belongs together

  /** @param {Element | null} target */
  #point(target) {
    const element = /** @type {HTMLElement | null} */ (target?.closest("[data-kind]") ?? null);
    const kind = element?.dataset.kind ?? "";
    const next = element && kind !== "node" ? { kind, uid: element.dataset.uid ?? "" } : null;
    if (next?.uid === this.#pointed?.uid) return;
    this.#pointed = next;
    this.#drawPointed();
  }

  #drawPointed() {
    const model = this.#model;
    const pointed = this.#pointed;
    /** @type {Set<string>} */ const uids = new Set();
    if (pointed?.kind === "service" || pointed?.kind === "workload") {
      const thing = model.all(pointed.kind === "service" ? "services" : "workloads").find(it => it.uid === pointed.uid);
      if (thing) for (const pod of pointed.kind === "service" ? model.selectedBy(thing) : model.madeBy(thing)) uids.add(pod.uid);
    } else if (pointed?.kind === "pod") {
      const has = (/** @type {Thing[]} */ pods) => pods.some(pod => pod.uid === pointed.uid);
      for (const it of model.all("services")) if (has(model.selectedBy(it))) uids.add(it.uid);
      for (const it of model.topWorkloads) if (has(model.madeBy(it))) uids.add(it.uid);
    }
    this.#body.classList.toggle("pointing", uids.size > 0);
    for (const element of /** @type {any} */ (this.#body.querySelectorAll("[data-kind][data-uid]"))) {
      element.classList.toggle("pointed", uids.has(element.dataset.uid));
      element.classList.toggle("pointer", uids.size > 0 && element.dataset.uid === pointed?.uid);
    }
    this.#drawLines();
  }

  #drawLines() {
    const from = this.#body.querySelector(".pointer");
    const ends = from ? [...this.#body.querySelectorAll(".pointed")].slice(0, tileLimit) : [];
    const zero = this.#body.getBoundingClientRect();
    const x = (/** @type {DOMRect} */ box) => box.left + box.width / 2 - zero.left + this.#body.scrollLeft;
    const y = (/** @type {DOMRect} */ box, /** @type {boolean} */ top) => (top ? box.top : box.bottom) - zero.top + this.#body.scrollTop;
    this.#lines.replaceChildren(...ends.map(end => {
      const [a, b] = [/** @type {Element} */ (from).getBoundingClientRect(), end.getBoundingClientRect()];
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const up = b.top < a.top;
      const [y1, y2] = [y(a, up), y(b, !up)];
      path.setAttribute("d", `M${x(a)} ${y1}C${x(a)} ${(y1 + y2) / 2} ${x(b)} ${(y1 + y2) / 2} ${x(b)} ${y2}`);
      return path;
    }));
    this.#lines.setAttribute("width", String(this.#body.clientWidth));
    this.#lines.setAttribute("height", ends.length ? String(this.#body.scrollHeight) : "0");
  }

  /** Arrow keys go through the tiles and rows of one group. @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const group = /** @type {Element} */ (event.target).closest(".tiles, .cluster-services, .cluster-workloads, .cluster-events");
    if (!step || !group) return;
    const all = /** @type {HTMLElement[]} */ ([...group.querySelectorAll("button:not(.leaving)")]);
    const next = all[all.indexOf(/** @type {HTMLElement} */ (event.target)) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  // More about one thing

  /** @param {Event} event @param {string} kind @param {string} name @param {string} [namespace] */
  #open(event, kind, name, namespace) {
    const commands = commandsFor(kind, name, namespace);
    const words = /** @type {const} */ ({ describe: "Describe", logs: "Logs", yaml: "YAML" });
    const names = /** @type {("describe" | "logs" | "yaml")[]} */ (Object.keys(words).filter(key => commands[/** @type {"logs"} */ (key)]));
    if (!names.length) return;
    this.#opener = /** @type {HTMLElement} */ (event.currentTarget);
    const text = h("pre", { tabindex: "0", id: "cluster-text" });
    const line = h("code.command");
    const tabs = names.map(key => h("button", { type: "button", role: "tab", "aria-controls": "cluster-text", "data-key": key, onclick: () => show(key) }, words[key]));
    const show = (/** @type {"describe" | "logs" | "yaml"} */ key) => {
      for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset.key === key));
      const command = commands[key] ?? [];
      say(line, ["kubectl", ...command.slice(1).filter(word => !word.startsWith("--kubeconfig="))].join(" "));
      this.#ask(command, text);
    };
    this.#panel.replaceChildren(
      h("header", {}, h("h3", {}, h("span.kind", {}, kind), " ", name), h("span.spacer"),
        h("button.icon-button", { type: "button", "aria-label": "Ask again", title: "Ask again", onclick: () => show(/** @type {any} */ (tabs.find(tab => tab.getAttribute("aria-selected") === "true")?.dataset.key ?? "describe")) }, icon("again", "small")),
        h("button.icon-button", { type: "button", "aria-label": "Close", title: "Close (Esc)", onclick: () => this.#closePanel() }, icon("close"))),
      h("div.panel-tabs", { role: "tablist", "aria-label": "What to show" }, ...tabs), line, text);
    this.#panel.setAttribute("aria-label", `${kind} ${name}`);
    this.#panel.hidden = false;
    this.#panel.addEventListener("animationend", () => this.#drawLines(), { once: true });
    show("describe");
    tabs[0].focus();
  }

  /** @param {string[]} command @param {HTMLElement} place */
  async #ask(command, place) {
    const asked = ++this.#asked;
    place.textContent = "Asking kubectl; this takes about a second.";
    place.classList.remove("bad");
    /** @type {string} */ let text;
    let isBad = false;
    try {
      const node = this.#model.node || this.#lab?.nodes[0]?.name || "node1";
      const result = await api("POST", `/labs/${encodeURIComponent(this.#lab?.id ?? "")}/nodes/${encodeURIComponent(node)}/exec`, { command, timeoutSeconds: detailSeconds });
      isBad = result.exitCode !== 0;
      text = (isBad ? result.stdout + result.stderr : result.stdout) || (isBad ? "kubectl said nothing." : "Nothing was printed.");
    } catch (error) {
      isBad = true;
      text = /** @type {Error} */ (error).message;
    }
    if (asked !== this.#asked) return;
    place.textContent = text;
    place.classList.toggle("bad", isBad);
    place.scrollTop = 0;
  }

  #closePanel() {
    this.#asked += 1;
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
    if (this.#opener?.isConnected) this.#opener.focus();
    else this.#body.focus();
  }
}

customElements.define("lectern-cluster", ClusterView);
