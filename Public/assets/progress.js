// Where the learner is and what was done, kept on the server for the account and in this browser as a fallback.

import { api } from "./api.js";
import { remember, remembered } from "./dom.js";

const saveDelayMilliseconds = 1500;
/** The server takes no more; the oldest blocks are left out beyond it. */
const limitBytes = 16 * 1024;

/**
 * @typedef {{page: string, step: string, blocks: Record<string, "done" | "failed">, quizzes: string[], seen: string[], ticks?: Record<string, boolean>, at: number}} State
 */

export class Progress {
  #workshop;
  /** @type {State} */ #state = { page: "", step: "", blocks: {}, quizzes: [], seen: [], at: 0 };
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {string} workshop */
  constructor(workshop) {
    this.#workshop = workshop;
    addEventListener("pagehide", () => this.#send(true));
  }

  get state() { return this.#state; }

  async load() {
    const here = remembered(`progress.${this.#workshop}`, null);
    let there = null;
    try {
      const answer = await api("GET", `/progress/${encodeURIComponent(this.#workshop)}`);
      there = answer?.state ?? answer;
    } catch { /* kept in this browser only */ }
    const newest = [here, there].filter(state => state && typeof state === "object" && state.at).sort((a, b) => b.at - a.at)[0];
    if (newest) this.#state = { ...this.#state, ...newest };
    return this.#state;
  }

  /** @param {Partial<State>} change */
  update(change) {
    this.#state = { ...this.#state, ...change, at: Date.now() };
    remember(`progress.${this.#workshop}`, this.#state);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(false), saveDelayMilliseconds);
  }

  /** @param {string} id @param {"done" | "failed"} outcome */
  block(id, outcome) {
    if (this.#state.blocks[id] !== outcome) this.update({ blocks: { ...this.#state.blocks, [id]: outcome } });
  }

  /** @param {boolean} leaving */
  #send(leaving) {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const state = { ...this.#state, blocks: { ...this.#state.blocks } };
    while (JSON.stringify({ state }).length > limitBytes && Object.keys(state.blocks).length) delete state.blocks[Object.keys(state.blocks)[0]];
    api("PUT", `/progress/${encodeURIComponent(this.#workshop)}`, { state }, { keepalive: leaving }).catch(() => {});
  }
}
