// Keys of a terminal that are the page's and not the program's: copy, paste, find; and the keys a touch screen lacks.

import { h } from "./dom.js";

/**
 * @param {any} term an xterm.js terminal
 * @param {import("./terminal-view.js").TerminalView} view
 * @param {HTMLElement} host
 */
export function handleKeys(term, view, host) {
  let lastSelection = "";
  term.onSelectionChange(() => { if (term.hasSelection()) lastSelection = term.getSelection(); });

  // False: the terminal must not see the key.
  term.attachCustomKeyEventHandler((/** @type {KeyboardEvent} */ event) => {
    if (event.type !== "keydown") return true;
    const control = event.ctrlKey && !event.altKey && !event.metaKey;
    const key = event.key.toLowerCase();
    if (control && event.shiftKey && key === "c" || event.ctrlKey && event.key === "Insert") {
      event.preventDefault();
      view.copySelection();
      return false;
    }
    if (control && event.shiftKey && key === "f") {
      event.preventDefault();
      view.openFind();
      return false;
    }
    if (control && event.shiftKey && key === "v" || event.shiftKey && event.key === "Insert") return false; // the browser pastes
    // Ctrl-V pastes at a prompt; in a program, such as an editor, it is the program's.
    if (control && !event.shiftKey && key === "v") return term.buffer.active.type !== "normal" || view.busy;
    return event.key !== "F6"; // leaves the terminal
  });

  host.addEventListener("auxclick", event => {
    if (event.button !== 1 || term.modes.mouseTrackingMode !== "none") return;
    // On Linux the browser itself pastes the primary selection, into xterm's text area.
    if (/Linux|X11/.test(navigator.userAgent) && !/Android/.test(navigator.userAgent)) return;
    if (!lastSelection) return;
    event.preventDefault();
    term.paste(lastSelection);
  });
}

/** @type {[words: string, sends: string, name: string][]} */
const row = [
  ["Esc", "\x1b", "Escape"], ["Tab", "\t", "Tab"], ["Ctrl", "", "Control, for the next key"], ["^C", "\x03", "Control C"],
  ["←", "\x1b[D", "Left"], ["↑", "\x1b[A", "Up"], ["↓", "\x1b[B", "Down"], ["→", "\x1b[C", "Right"],
  ["|", "|", "Pipe"], ["/", "/", "Slash"], ["-", "-", "Minus"],
];

/** The row of keys under a terminal on touch screens. */
export class KeyRow {
  element = h("div.term-keys", { role: "toolbar", "aria-label": "Keys" });
  #control = false;

  /**
   * @param {(text: string) => void} send
   * @param {() => boolean} applicationMode whether arrow keys are sent in the application's form
   */
  constructor(send, applicationMode) {
    for (const [words, sends, name] of row) {
      const isControl = sends === "";
      this.element.append(h("button", {
        type: "button", "aria-label": name, "data-key": isControl ? "ctrl" : null, "aria-pressed": isControl ? "false" : null,
        onpointerdown: (/** @type {Event} */ event) => event.preventDefault(), // the keyboard stays
        onclick: () => (isControl ? this.#set(!this.#control) : send(applicationMode() ? sends.replace("\x1b[", "\x1bO") : sends)),
      }, words));
    }
  }

  /** @param {boolean} on */
  #set(on) {
    this.#control = on;
    this.element.querySelector("[data-key=ctrl]")?.setAttribute("aria-pressed", String(on));
  }

  /**
   * What a key becomes while Ctrl is held on the row.
   * @param {string} data
   * @returns {string}
   */
  modified(data) {
    if (!this.#control || data.length !== 1) return data;
    this.#set(false);
    const code = data.toUpperCase().charCodeAt(0);
    return code >= 64 && code < 96 ? String.fromCharCode(code - 64) : data;
  }
}
