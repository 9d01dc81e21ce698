// <lectern-terminal>: one terminal on the screen: xterm.js, its session, and what the shell is doing.

import { h, copyText, toast } from "./dom.js";
import { FindBar } from "./terminal-find.js";
import { handleKeys, KeyRow } from "./terminal-keys.js";
import { unwrapped } from "./join-command.js";
import { goneCode, TerminalSession } from "./terminal-session.js";
import { loadXterm } from "./xterm-loader.js";

const scrollbackLines = 10_000;
/** How long a click waits for the prompt after a command ended, before it types anyway. */
const promptPatienceMilliseconds = 800;
/** And for the first prompt of a shell; one that has told of none by then tells of none at all. */
const firstPromptPatienceMilliseconds = 2500;
/** While the split is dragged the program is told of the size at most this often. */
const resizeDelayMilliseconds = 80;
/** xterm.js has work for later frames and idle moments, which fails on a disposed terminal. */
const disposeDelayMilliseconds = 1500;
/** What a terminal says by itself: device attributes, cursor position, modes, colours. */
const terminalAnswer = /^\x1b(\[[?>=]?[\d;]*(c|R|n|t|\$y)|\]\d+;|P)/;

/** The terminal's colours, from the page's custom properties. */
function paletteOf(/** @type {Element} */ element) {
  const style = getComputedStyle(element);
  const get = (/** @type {string} */ name) => style.getPropertyValue(`--term-${name}`).trim();
  const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
  /** @type {Record<string, string>} */
  const theme = { background: get("background"), foreground: get("foreground"), cursor: get("cursor"), cursorAccent: get("background"), selectionBackground: get("selection") };
  for (const name of names) {
    theme[name] = get(name);
    theme[`bright${name[0].toUpperCase()}${name.slice(1)}`] = get(`bright-${name}`);
  }
  return theme;
}

/**
 * @typedef {{status: number, milliseconds: number} | {gone: string}} CommandEnd
 * @typedef {{fontSize: number, screenReader: boolean}} TerminalSettings
 */

export class TerminalView extends HTMLElement {
  /** @type {any} */ #term = null;
  /** @type {any} */ #fit = null;
  /** @type {any} */ #search = null;
  /** @type {any} */ #webgl = null;
  /** @type {TerminalSession | null} */ #session = null;
  /** @type {ResizeObserver | null} */ #observer = null;
  #opened = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #resizeTimer;
  /** The shell said that a command runs. */ #running = false;
  /** A program other than the shell holds the terminal. */ #foreground = false;
  #program = "";
  #ready = false;
  #integrated = false;
  /** The shell tells nothing of its prompts. */ #silent = false;
  #dead = false;
  #startedAt = 0;
  #keys = new KeyRow(text => this.#session?.send(text), () => this.#term?.modes.applicationCursorKeysMode ?? false);
  /** @type {any} */ #marker = null;
  /** @type {((end: CommandEnd) => void)[]} */ #waitingForEnd = [];
  /** @type {(() => void)[]} */ #waitingForPrompt = [];
  #parts = {
    dot: h("span.dot.creating"), name: h("span.name"), sub: h("span.sub"),
    host: h("div.term-host"), state: h("div.term-state", { role: "status", hidden: true }),
  };
  /** @type {FindBar | null} */ #find = null;

  /**
   * @param {{lab: string, node: string, name: string, address: string, settings: TerminalSettings}} options
   */
  configure(options) {
    this.options = options;
    this.key = `${options.node}/${options.name}`;
    return this;
  }

  /** @type {{lab: string, node: string, name: string, address: string, settings: TerminalSettings}} */
  options = { lab: "", node: "", name: "", address: "", settings: { fontSize: 14, screenReader: false } };
  key = "";

  get node() { return this.options.node; }
  /** What people call it: the node's name, with a number from the second shell on. */
  get label() { return this.options.name === "1" ? this.options.node : `${this.options.node} · ${this.options.name}`; }
  /** Does a program hold the terminal? */
  get busy() { return this.#running || this.#foreground; }
  get program() { return this.#program; }
  /** Has the shell ended? */
  get dead() { return this.#dead; }
  /** Closed by the server, because the node is not the one it was. */
  get gone() { return this.link === "closed" && this.#session?.closeCode === goneCode; }
  get link() { return this.#session?.state ?? "connecting"; }
  /** Does the shell tell where its commands begin and end? */
  get integrated() { return this.#integrated; }

  connectedCallback() {
    if (this.#term || this.childElementCount) return;
    const { dot, name, sub, host, state } = this.#parts;
    name.textContent = this.label;
    sub.textContent = this.options.address;
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", `Terminal ${this.label}`);
    this.append(h("div.pane-head", {}, dot, name, sub), host, this.#keys.element, state);
    this.addEventListener("focusin", () => {
      this.#session?.claimSize();
      this.dispatchEvent(new CustomEvent("terminal-focus", { bubbles: true }));
    });
    addEventListener("lectern-theme", this.#retheme);
    this.#start();
  }

  async #start() {
    const parts = await loadXterm().catch(() => null);
    if (!parts) {
      this.#say("The terminal's program could not be loaded. Reload the page to try again.");
      return;
    }
    if (this.#dead) return;
    const { fontSize, screenReader } = this.options.settings;
    const term = this.#term = new parts.Terminal({
      allowProposedApi: true, scrollback: scrollbackLines, fontSize, lineHeight: 1.2, screenReaderMode: screenReader,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--code-font").trim(),
      theme: paletteOf(this), minimumContrastRatio: 4.5, cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      macOptionIsMeta: true, rightClickSelectsWord: false, smoothScrollDuration: 0, cols: 80, rows: 24,
    });
    this.#fit = new parts.FitAddon();
    this.#search = new parts.SearchAddon();
    term.loadAddon(this.#fit);
    term.loadAddon(this.#search);
    term.loadAddon(new parts.Unicode11Addon());
    term.unicode.activeVersion = "11";
    term.loadAddon(new parts.WebLinksAddon((/** @type {MouseEvent} */ _event, /** @type {string} */ uri) => window.open(uri, "_blank", "noopener,noreferrer")));
    handleKeys(term, this, this.#parts.host);
    term.onData((/** @type {string} */ data) => this.#typed(data));
    term.onBinary((/** @type {string} */ data) => this.#session?.send(Uint8Array.from(data, character => character.charCodeAt(0))));
    this.#webglMaker = parts.WebglAddon;
    this.#openIfVisible();
    this.#observer = new ResizeObserver(() => this.#layout());
    this.#observer.observe(this.#parts.host);
    const path = `/api/v1/labs/${encodeURIComponent(this.options.lab)}/nodes/${encodeURIComponent(this.options.node)}/terminals/${encodeURIComponent(this.options.name)}`;
    this.#session = new TerminalSession({
      path, columns: term.cols, rows: term.rows,
      screen: { write: (bytes, consumed) => term.write(bytes, consumed), reset: () => term.write("\x1bc") }, // in order with what is still to be drawn
      onState: (state, reason) => this.#linkChanged(state, reason),
      onEvent: event => this.#event(event),
    });
    this.dataset.link = "connecting";
  }

  /** @type {any} */ #webglMaker = null;

  /** Lets go of the connection; the shell goes on. */
  dispose() {
    this.#dead = true;
    removeEventListener("lectern-theme", this.#retheme);
    this.#observer?.disconnect();
    this.#session?.close();
    this.#settle({ gone: "the terminal was closed" });
    this.#webglMaker = null;
    this.#webgl?.dispose(); // before the terminal, since it puts the DOM renderer back
    this.#webgl = null;
    this.remove();
    const term = this.#term;
    setTimeout(() => term?.dispose(), disposeDelayMilliseconds);
  }

  #openIfVisible() {
    const { host } = this.#parts;
    if (this.#opened || !this.#term || host.clientWidth === 0) return;
    this.#opened = true;
    this.#term.open(host);
    this.#term.textarea?.setAttribute("aria-label", `Terminal ${this.label}`);
    this.#layout();
  }

  #layout() {
    if (!this.#term) return;
    const { host } = this.#parts;
    if (host.clientWidth === 0) {
      // Browsers allow few WebGL contexts: a hidden terminal gives its own back.
      this.#webgl?.dispose();
      this.#webgl = null;
      return;
    }
    if (!this.#opened) { this.#openIfVisible(); return; }
    if (!this.#webgl && this.#webglMaker) {
      try {
        const webgl = new this.#webglMaker();
        webgl.onContextLoss(() => { webgl.dispose(); this.#webgl = null; });
        this.#term.loadAddon(webgl);
        this.#webgl = webgl;
      } catch { this.#webglMaker = null; /* drawn with the DOM instead */ }
    }
    this.#fit.fit();
    clearTimeout(this.#resizeTimer);
    this.#resizeTimer = setTimeout(() => this.#session?.resize(this.#term.cols, this.#term.rows), resizeDelayMilliseconds);
  }

  #retheme = () => {
    if (this.#term) this.#term.options.theme = paletteOf(this);
  };

  /** @param {TerminalSettings} settings */
  applySettings(settings) {
    this.options.settings = settings;
    if (!this.#term) return;
    this.#term.options.fontSize = settings.fontSize;
    this.#term.options.screenReaderMode = settings.screenReader;
    this.#layout();
  }

  focusTerminal() { this.#term?.focus(); }
  /** The visible rows as text, for tests and for help. */
  screenText() {
    const buffer = this.#term?.buffer.active;
    if (!buffer) return "";
    const rows = [];
    for (let row = 0; row < this.#term.rows; row++) rows.push(buffer.getLine(buffer.viewportY + row)?.translateToString(true) ?? "");
    return rows.join("\n");
  }
  /** Everything kept, scrollback included. */
  allText() {
    const buffer = this.#term?.buffer.active;
    const rows = [];
    for (let row = 0; row < (buffer?.length ?? 0); row++) rows.push(buffer.getLine(row)?.translateToString(true) ?? "");
    return rows.join("\n");
  }
  selectAll() { this.#term?.selectAll(); }
  clearScrollback() { this.#term?.clear(); }
  async copySelection() {
    const text = this.#term?.getSelection() ?? "";
    if (text && await copyText(text)) toast("Copied.", { level: "success" });
    this.focusTerminal();
  }
  async pasteClipboard() {
    try { this.#term?.paste(await navigator.clipboard.readText()); } catch { toast("The browser does not let this page read the clipboard. Press Ctrl+Shift+V in the terminal instead."); }
    this.focusTerminal();
  }

  // Running commands

  /**
   * Types text as if pasted, without running it.
   * @param {string} text
   */
  insert(text) {
    this.#session?.send(this.#pasted(text));
    this.focusTerminal();
  }

  /** @param {string} text @returns {string} */
  #pasted(text) {
    const lines = text.replace(/\r?\n/g, "\r");
    return this.#term?.modes.bracketedPasteMode ? `\x1b[200~${lines}\x1b[201~` : lines;
  }

  /** Ends the shell: Ctrl-C for what it runs, then Ctrl-D at its prompt. */
  hangUp() { this.#session?.send("\x03\x04"); }
  interrupt() { this.#session?.send("\x03"); }

  /**
   * Runs one complete command at the prompt and resolves when it has ended.
   * @param {string} command
   * @returns {Promise<CommandEnd>}
   */
  run(command) {
    if (this.#dead || !this.#session) return Promise.resolve({ gone: "the terminal is not there any more" });
    // What was half typed at the prompt would otherwise become part of the command; Ctrl-Y brings it back.
    const clear = this.#ready && !this.busy ? "\x05\x15" : "";
    this.#ready = false;
    this.#startedAt = performance.now();
    this.#session.send(`${clear}${this.#pasted(command)}\r`);
    if (this.#silent) return Promise.resolve({ gone: "this shell does not tell" });
    return new Promise(resolve => this.#waitingForEnd.push(resolve));
  }

  /** Resolves when no program holds the terminal. */
  free() {
    if (!this.busy && (this.#ready || this.#silent)) return Promise.resolve();
    return new Promise(resolve => {
      this.#waitingForPrompt.push(() => resolve(undefined));
      if (this.busy) return;
      setTimeout(() => {
        this.#silent = !this.#integrated;
        this.#promptFree();
      }, this.#integrated ? promptPatienceMilliseconds : firstPromptPatienceMilliseconds);
    });
  }

  /**
   * Resolves when the command that runs now has ended.
   * @returns {Promise<CommandEnd>}
   */
  ended() {
    if (this.#dead) return Promise.resolve({ gone: "the terminal is not there any more" });
    return new Promise(resolve => this.#waitingForEnd.push(resolve));
  }

  /** A mark at the place where the last command began. */
  get marker() { return this.#marker; }
  /**
   * What the last command printed, as far as it is kept, lines that the screen wrapped put together.
   * @returns {Promise<string>}
   */
  lastOutput() {
    const marker = this.#marker;
    const buffer = this.#term?.buffer.normal;
    if (!buffer) return Promise.resolve("");
    // What came before this is drawn first.
    return new Promise(resolve => this.#term.write("", () => {
      const place = this.#marker ?? marker;
      resolve(place && !place.isDisposed ? unwrapped(buffer, place.line) : "");
    }));
  }
  /** @param {any} marker */
  show(marker) {
    if (marker && !marker.isDisposed) this.#term?.scrollToLine(Math.max(0, marker.line - 1));
    this.focusTerminal();
  }

  /** @param {CommandEnd} end */
  #settle(end) {
    for (const resolve of this.#waitingForEnd.splice(0)) resolve(end);
  }

  #promptFree() {
    for (const resolve of this.#waitingForPrompt.splice(0)) resolve();
  }

  /** @param {{running?: boolean, foreground?: boolean, program?: string}} change */
  #setBusy(change) {
    const before = this.busy;
    this.#running = change.running ?? this.#running;
    this.#foreground = change.foreground ?? this.#foreground;
    this.#program = change.program ?? this.#program;
    if (before !== this.busy) this.dispatchEvent(new CustomEvent("terminal-busy", { bubbles: true, detail: this.busy }));
  }

  /** @param {{type: string, [key: string]: any}} event */
  #event(event) {
    switch (event.type) {
      case "attached":
        this.#parts.state.hidden = true;
        if (event.title) this.#parts.sub.textContent = event.title;
        this.#integrated ||= Boolean(event.prompt || event.running);
        this.#ready = Boolean(event.prompt);
        this.#setBusy({ running: Boolean(event.running), foreground: Boolean(event.busy), program: event.program ?? "" });
        if (this.#ready && this.#session?.unconfirmedBytes === 0) {
          // A command that was run before the connection went, and has ended since: its status is not known.
          this.#settle({ gone: "it ended while the connection was away" });
          this.#promptFree();
        }
        if (event.role === "view") this.#say("You are watching: only the owner can type here.");
        if (event.alive === false) this.#exited(event.exitStatus ?? 0);
        this.dispatchEvent(new CustomEvent("terminal-attached", { bubbles: true }));
        break;
      case "command-start":
        this.#integrated = true;
        this.#ready = false;
        this.#startedAt ||= performance.now();
        this.#setBusy({ running: true, program: String(event.command ?? "").trim().split(/\s+/)[0] ?? "" });
        this.#term?.write("", () => {
          this.#marker = this.#term.registerMarker(0);
        });
        this.dispatchEvent(new CustomEvent("command-start", { bubbles: true }));
        break;
      case "command-end": {
        this.#integrated = true;
        const milliseconds = this.#startedAt ? performance.now() - this.#startedAt : 0;
        this.#startedAt = 0;
        this.#setBusy({ running: false, foreground: false, program: "" });
        const byPage = this.#waitingForEnd.length > 0;
        this.#settle({ status: Number(event.status ?? 0), milliseconds });
        this.dispatchEvent(new CustomEvent("command-end", { bubbles: true, detail: { status: Number(event.status ?? 0), byPage } }));
        break;
      }
      case "prompt":
        this.#integrated = true;
        this.#silent = false;
        this.#ready = true;
        this.#setBusy({ running: false, foreground: false, program: "" });
        this.#promptFree();
        break;
      case "foreground":
        if (event.busy) this.#ready = false;
        this.#setBusy({ foreground: Boolean(event.busy), program: event.program ?? (this.#running ? this.#program : "") });
        break;
      case "title":
        this.#parts.sub.textContent = event.title || this.options.address;
        break;
      case "viewers":
        this.dataset.viewers = String(event.count);
        break;
      case "role":
        if (event.role === "view") this.#say("You are watching: only the owner can type here.");
        break;
      case "notice":
        if (this.#session?.attached) toast(event.message ?? "", { level: event.level === "error" ? "danger" : event.level ?? "info", title: this.label });
        else this.#say(event.message ?? "");
        break;
      case "exit":
        this.#exited(event.status ?? event.exitCode ?? 0);
        break;
      default:
    }
  }

  /** @param {number} status */
  #exited(status) {
    this.#dead = true;
    this.#setBusy({ running: false, foreground: false, program: "" });
    this.#settle({ gone: "the shell ended" });
    this.dataset.link = "ended";
    this.#session?.close();
    this.#say(status === 0 ? "This shell has ended." : `This shell ended with status ${status}.`,
      h("button.button.small", { type: "button", onclick: () => this.dispatchEvent(new CustomEvent("terminal-again", { bubbles: true })) }, "Start a new one"));
    this.dispatchEvent(new CustomEvent("terminal-state", { bubbles: true }));
  }

  /** @param {import("./terminal-session.js").LinkState} state @param {string} reason */
  #linkChanged(state, reason) {
    if (this.dataset.link === "ended") return;
    this.dataset.link = state;
    this.#parts.dot.className = `dot ${state === "live" ? "ready" : state === "closed" ? "gone" : "creating"}`;
    if (state === "reconnecting") this.#say(this.#opened && this.#session?.nextOffset ? "Reconnecting, nothing is lost." : "Connecting to the terminal.");
    else if (state === "closed" && reason) this.#say(reason, h("button.button.small", { type: "button", onclick: () => this.dispatchEvent(new CustomEvent("terminal-again", { bubbles: true })) }, "Connect again"));
    else this.#parts.state.hidden = true;
    if (state === "live") this.#session?.resize(this.#term.cols, this.#term.rows);
    this.dispatchEvent(new CustomEvent("terminal-state", { bubbles: true }));
  }

  /** @param {string} words @param {...Node} more */
  #say(words, ...more) {
    this.#parts.state.replaceChildren(h("span", {}, words), ...more);
    this.#parts.state.hidden = false;
  }

  /** @param {string} data */
  #typed(data) {
    // Output shown again contains old questions to the terminal; their answers would be typed into the shell.
    if (terminalAnswer.test(data)) {
      if (this.#session && !this.#session.replayed) return;
      // Of several pages that show a terminal one answers: that in front.
      if (Number(this.dataset.viewers ?? 1) > 1 && !document.hasFocus()) return;
    }
    data = this.#keys.modified(data);
    if (!this.busy && data.includes("\r")) this.#startedAt = performance.now();
    this.#session?.send(data);
  }

  openFind() {
    if (this.#find?.isConnected) this.#find.select();
    else this.#find = new FindBar(this.#search, this, this.#parts.host);
  }
}

customElements.define("lectern-terminal", TerminalView);
