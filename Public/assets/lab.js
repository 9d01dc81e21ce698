// The learner's lab as the page knows it: started, followed over the event stream, extended, ended.

import { api, EventStream, serverNow } from "./api.js";

/**
 * @typedef {{name: string, state: "creating" | "ready" | "failed" | "gone", message: string, address: string, terminals: string[]}} LabNode
 * @typedef {{id: string, workshop: string, state: "queued" | "creating" | "ready" | "ending" | "ended" | "failed", reason: string, message: string,
 *   queue?: {position: number, estimateSeconds?: number, rule?: string}, createdAt: string, expiresAt: string, extensionsLeft: number, nodes: LabNode[]}} Lab
 */

const over = new Set(["ended", "failed"]);
/** While the event stream is away the lab is asked for this often. */
const pollMilliseconds = 5000;

/**
 * Events: `lab` (it changed), `link` (the stream came or went), `server-event` (anything else, in `detail`), `problem` (an error, in `detail`).
 */
export class LabStore extends EventTarget {
  /** @type {Lab | null} */ #lab = null;
  /** @type {EventStream | null} */ #stream = null;
  #live = false;
  #starting = false;
  /** How many events told of this lab. */ #told = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #poll;

  /** @param {string} workshop */
  constructor(workshop) {
    super();
    this.workshop = workshop;
  }

  get lab() { return this.#lab; }
  get live() { return this.#live; }
  get starting() { return this.#starting; }
  get running() { return this.#lab !== null && !over.has(this.#lab.state) && this.#lab.state !== "ending"; }
  /** Seconds until the lab ends. */
  get secondsLeft() { return this.#lab?.expiresAt ? (Date.parse(this.#lab.expiresAt) - serverNow()) / 1000 : Infinity; }

  /** Looks whether the learner has a lab of this workshop already. */
  async find() {
    const { labs } = await api("GET", "/labs");
    const mine = labs.filter((/** @type {Lab} */ lab) => lab.workshop === this.workshop && !over.has(lab.state) && lab.state !== "ending");
    if (mine.length > 0) this.#adopt(mine[mine.length - 1]);
    else this.#listen(null);
    return this.#lab;
  }

  async start() {
    if (this.#starting) return;
    this.#starting = true;
    this.dispatchEvent(new Event("lab"));
    try {
      this.#adopt(await api("POST", "/labs", { workshop: this.workshop }));
    } catch (error) {
      this.#lab = null;
      this.dispatchEvent(new CustomEvent("problem", { detail: error }));
    } finally {
      this.#starting = false;
      this.dispatchEvent(new Event("lab"));
    }
  }

  /** @param {number} minutes */
  async extend(minutes) {
    if (this.#lab) this.#update(await api("POST", `/labs/${this.#lab.id}/extend`, { minutes }));
  }

  async end() {
    if (!this.#lab) return;
    const lab = await api("DELETE", `/labs/${this.#lab.id}`);
    this.#update(lab?.id ? lab : { ...this.#lab, state: "ending" });
  }

  /** @param {string} node */
  async reset(node) {
    if (!this.#lab) return;
    const lab = await api("POST", `/labs/${this.#lab.id}/nodes/${encodeURIComponent(node)}/reset`);
    if (lab?.id) this.#update(lab);
  }

  /**
   * A node's port as an address for the browser.
   * @param {string} node @param {number} port @param {string} protocol @param {string} path
   * @returns {Promise<string>}
   */
  async portAddress(node, port, protocol, path) {
    const { url } = await api("POST", `/labs/${this.#lab?.id}/ports`, { node, port, protocol, path });
    return url;
  }

  /** @param {string} node @returns {Promise<{port: number, process?: string}[]>} */
  async ports(node) {
    return (await api("GET", `/labs/${this.#lab?.id}/nodes/${encodeURIComponent(node)}/ports`)).ports;
  }

  /** Forgets an ended lab, so that another can begin. */
  clear() {
    this.#lab = null;
    this.#listen(null);
    this.dispatchEvent(new Event("lab"));
  }

  async refresh() {
    if (!this.#lab) return;
    const told = this.#told;
    try {
      const lab = await api("GET", `/labs/${this.#lab.id}`);
      if (told === this.#told) this.#update(lab); // else an event overtook the answer
    } catch (error) {
      if (/** @type {import("./api.js").APIError} */ (error).status === 404 && this.#lab) this.#update({ ...this.#lab, state: "ended", message: this.#lab.message || "This lab is not there any more." });
    }
  }

  /** @param {Lab} lab */
  #adopt(lab) {
    this.#lab = lab;
    this.#listen(lab.id);
    this.dispatchEvent(new Event("lab"));
  }

  /** @param {Lab} lab */
  #update(lab) {
    if (lab.id !== this.#lab?.id) return;
    if (over.has(this.#lab.state) && !over.has(lab.state)) return; // an answer that was overtaken
    this.#lab = lab;
    this.dispatchEvent(new Event("lab"));
  }

  /** @param {string | null} lab */
  #listen(lab) {
    this.#stream?.close();
    clearInterval(this.#poll);
    this.#stream = new EventStream(lab, event => {
      if (event.type === "lab") {
        if (event.lab.id === this.#lab?.id) this.#told += 1;
        this.#update(event.lab);
      } else this.dispatchEvent(new CustomEvent("server-event", { detail: event }));
    }, live => {
      this.#live = live;
      if (live) this.refresh(); // what happened before it was open
      this.dispatchEvent(new Event("link"));
    });
    this.#poll = setInterval(() => { if (!this.#live && this.running) this.refresh(); }, pollMilliseconds);
  }
}
