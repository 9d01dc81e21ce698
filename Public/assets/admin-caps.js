// The caps form: each with its words, unit and range; changes are listed with what they mean before they are saved.

import { api } from "./api.js";
import { h, toast } from "./dom.js";
import { bytesWords, duration, plural } from "./words.js";

/** @typedef {{value: number, unit: string, min: number, max: number, default: number, doc: string}} Cap */

/**
 * camelCase as words.
 * @param {string} name
 */
export const capTitle = name => {
  const words = name.replace(/MiB|Millis|Bytes$|Minutes$|Seconds$|Percent$/g, "").replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return (words.charAt(0).toUpperCase() + words.slice(1)).replace(/\bcpu\b/gi, "CPU").replace(/^Pids\b/, "Processes").replace(/\bpids\b/g, "processes");
};

/** @param {number} value @param {Cap} cap */
export function capWords(value, cap) {
  const unit = cap.unit ?? "";
  if (/bytes/i.test(unit)) return bytesWords(value);
  if (/^minutes?$/i.test(unit)) return duration(value * 60);
  if (/^seconds?$/i.test(unit)) return duration(value);
  return unit && unit !== "count" ? `${value} ${unit}` : String(value);
}

/** @param {Cap} cap */
function rangeWords(cap) {
  const words = (/** @type {number} */ value) => (scale(cap) > 1 ? bytesWords(value) : String(value));
  return `${words(cap.min)} to ${words(cap.max)}, usually ${words(cap.default)}`;
}

/**
 * Large numbers of bytes are typed as MiB.
 * @param {Cap} cap
 */
const scale = cap => (/bytes/i.test(cap.unit ?? "") ? 1024 * 1024 : 1);

export class CapsForm {
  #form; #saved;
  /** @type {Record<string, Cap>} */ #caps = {};
  #foot = h("p", { role: "status" });
  #save = h("button.button.primary", { type: "submit", disabled: true }, "Save");
  #undo = h("button.button", { type: "button", disabled: true, onclick: () => this.#draw() }, "Undo");

  /** @param {HTMLElement} form @param {() => Promise<void>} saved */
  constructor(form, saved) {
    this.#form = form;
    this.#saved = saved;
    form.addEventListener("input", () => this.#preview());
    form.addEventListener("submit", event => {
      event.preventDefault();
      this.#submit();
    });
  }

  /**
   * Takes new values, unless the admin is in the middle of a change.
   * @param {Record<string, Cap>} caps
   */
  show(caps) {
    const same = JSON.stringify(caps) === JSON.stringify(this.#caps);
    if (same || Object.keys(this.#changes()).length > 0) return;
    this.#caps = caps;
    this.#draw();
  }

  /** @param {string} name @returns {HTMLInputElement | null} */
  #input(name) { return this.#form.querySelector(`input[name="${name}"]`); }

  #draw() {
    const rows = Object.entries(this.#caps).map(([name, cap]) => {
      const by = scale(cap);
      const unit = by > 1 ? "MiB" : cap.unit ?? "";
      return h("div.cap", { "data-cap": name },
        h("div", {}, h("label", { for: `cap-${name}` }, capTitle(name), h("code", {}, name)), h("p", { id: `doc-${name}` }, cap.doc)),
        h("div.entry", {},
          h("div.row", {}, h("input.number", { id: `cap-${name}`, name, type: "number", step: by > 1 || !Number.isInteger(cap.min) ? "any" : 1, min: cap.min / by, max: cap.max / by, value: cap.value / by, "aria-describedby": `doc-${name} range-${name}` }), unit),
          h("div.range", { id: `range-${name}` }, rangeWords(cap))));
    });
    this.#form.replaceChildren(...rows, h("div.caps-foot", {}, this.#foot, this.#undo, this.#save));
    this.#preview();
  }

  /** @returns {Record<string, number>} */
  #changes() {
    /** @type {Record<string, number>} */ const changes = {};
    for (const [name, cap] of Object.entries(this.#caps)) {
      const input = this.#input(name);
      const value = input ? Number(input.value) * scale(cap) : cap.value;
      if (input && (input.value === "" || Math.abs(value - cap.value) > 1e-6)) changes[name] = input.value === "" ? NaN : scale(cap) > 1 ? Math.round(value) : value;
    }
    return changes;
  }

  #preview() {
    const changes = this.#changes();
    let wrong = 0;
    for (const [name, cap] of Object.entries(this.#caps)) {
      const changed = name in changes;
      const bad = changed && !(changes[name] >= cap.min && changes[name] <= cap.max);
      wrong += bad ? 1 : 0;
      this.#form.querySelector(`[data-cap="${name}"]`)?.classList.toggle("changed", changed);
      this.#input(name)?.setAttribute("aria-invalid", String(bad));
      this.#form.querySelector(`#range-${name}`)?.classList.toggle("wrong", bad);
    }
    const entries = Object.entries(changes);
    this.#save.disabled = entries.length === 0 || wrong > 0;
    this.#undo.disabled = entries.length === 0;
    this.#foot.textContent = wrong ? `${plural(wrong, "value")} out of range.` : entries.length === 0 ? "Changes touch labs that start from then on; labs that run keep what they have."
      : entries.map(([name, value]) => `${capTitle(name)}: ${capWords(this.#caps[name].value, this.#caps[name])} → ${capWords(value, this.#caps[name])}`).join("\n");
  }

  async #submit() {
    const changes = this.#changes();
    if (this.#save.disabled) return;
    this.#save.disabled = true;
    try {
      await api("PUT", "/admin/caps", changes);
      for (const [name, value] of Object.entries(changes)) this.#caps[name] = { ...this.#caps[name], value };
      this.#draw();
      toast("The caps are saved. They hold for labs that start from now on.", { level: "success" });
      await this.#saved();
    } catch (error) {
      toast(/** @type {Error} */ (error).message, { level: "danger", title: "Not saved" });
      this.#preview();
    }
  }
}
