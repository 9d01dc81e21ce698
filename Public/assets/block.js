// <lectern-block> and <lectern-inline>: commands in the lesson that a click types or runs, and what became of them.

import { h, icon, copyText, dialog, announce } from "./dom.js";
import { findJoin } from "./join-command.js";
import { splitCommands } from "./shell-lines.js";
import { tookWords } from "./words.js";

/**
 * What runs blocks; the lesson page sets it.
 * @type {{terminals: import("./terminals.js").Terminals | null, needLab: (number: string | undefined) => Promise<boolean>, nodes: () => string[], show: (view: import("./terminal-view.js").TerminalView) => void,
 *   changed: (block: LessonBlock) => void}}
 */
export const stage = { terminals: null, needLab: async () => false, nodes: () => [], show: () => {}, changed: () => {} };

/**
 * Runs of one terminal follow each other.
 * @type {WeakMap<import("./terminal-view.js").TerminalView, Promise<void>>}
 */
const queues = new WeakMap();

/**
 * Asks what to do while a program holds the terminal.
 * @param {import("./terminal-view.js").TerminalView} view
 * @param {boolean} runs
 */
function askBusy(view, runs) {
  const program = view.program || "A program";
  return dialog({
    title: `${program} is running in ${view.label}`,
    body: [h("p", {}, `What you clicked would go to ${view.program || "that program"} and not to the shell. What should happen?`)],
    choices: [
      ...(runs ? [{ value: "wait", words: "Run it when that has ended", kind: "primary" }] : []),
      { value: "stop", words: `Stop ${view.program || "it"}, then ${runs ? "run" : "type"} it`, note: "Ctrl+C" },
      { value: "shell", words: `Open another shell on ${view.node}` },
      { value: "type", words: "Type it there all the same" },
    ],
  });
}

/**
 * Finds the terminal for a click, starting the lab or asking where needed.
 * @param {string | undefined} number @param {boolean} runs
 * @returns {Promise<{view: import("./terminal-view.js").TerminalView, how: "run" | "type" | "wait"} | {refused: string}>}
 */
async function terminalFor(number, runs) {
  let view = stage.terminals?.target(number) ?? null;
  if (!view) {
    if (!await stage.needLab(number)) return { refused: "" };
    view = stage.terminals?.target(number) ?? null;
  }
  if (!view) return { refused: number && !stage.nodes().includes(`node${number}`) ? `This lab has no node${number}.` : "There is no terminal for this yet. Try again in a moment." };
  if (view.dead) return { refused: `The shell of ${view.label} has ended. Start a new one first.` };
  if (!view.busy) return { view, how: "run" };
  const choice = await askBusy(view, runs);
  if (choice === null) return { refused: "" };
  if (choice === "type") return { view, how: "type" };
  if (choice === "stop") {
    view.interrupt();
    return { view, how: "wait" };
  }
  if (choice === "shell") {
    view = /** @type {import("./terminals.js").Terminals} */ (stage.terminals).open(view.node);
    return { view, how: "wait" };
  }
  return { view, how: "wait" };
}

/**
 * Runs a command in a node's terminal and says what became of it; nothing where it was called off.
 * @param {string} node @param {string} command
 */
export async function runOn(node, command) {
  const found = await terminalFor(/^node(\d+)$/.exec(node)?.[1] ?? node, true);
  if ("refused" in found) return found.refused;
  const { view, how } = found;
  stage.show(view);
  if (how === "type") {
    view.insert(command);
    return "Typed";
  }
  await view.free();
  const end = await view.run(command);
  if ("gone" in end) return "Typed";
  return end.status === 0 ? `Done on ${node}; run again` : `Failed on ${node}; run again`;
}

/** @typedef {"idle" | "waiting" | "running" | "done" | "failed" | "typed"} BlockState */

export class LessonBlock extends HTMLElement {
  #text = "";
  /** @type {string[]} */ #commands = [];
  #copy = h("button.icon-button", { type: "button", "aria-label": "Copy", title: "Copy", onclick: () => this.#copied() }, icon("copy", "small"));
  #run = h("button.icon-button.run", { type: "button", onclick: () => this.activate() });
  #hint = h("span.block-hint", { "aria-hidden": "true" });
  #target = h("span.target");
  #status = h("div.block-status", { role: "status" });
  #chips = h("div.block-chips", { role: "status" });
  /** @type {any} */ #marker = null;
  /** @type {import("./terminal-view.js").TerminalView | null} */ #view = null;
  #from = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #ticker;

  connectedCallback() {
    const pre = this.querySelector("pre");
    if (!pre || this.#text) return;
    this.#text = (pre.textContent ?? "").replace(/\n+$/, "");
    this.#commands = splitCommands(this.#text);
    this.#addGlyphs(pre.querySelector("code") ?? pre);
    pre.addEventListener("click", () => {
      if (!getSelection()?.isCollapsed) return; // text was selected, not clicked
      this.activate();
    });
    const body = h("div.block-body");
    pre.before(body);
    body.append(pre, h("div.block-tools", {}, this.#target, this.#copy, this.#run));
    this.append(this.#status, this.#chips, h("div.block-progress"), this.#hint);
    this.setState("idle");
  }

  disconnectedCallback() { clearInterval(this.#ticker); }

  /**
   * Puts a prompt before each line of code, between the colours that are there.
   * @param {Element} code
   */
  #addGlyphs(code) {
    const lines = this.#text.split("\n");
    const starts = new Set();
    let at = 0;
    for (const command of this.#commands) {
      const found = this.#text.indexOf(command, at);
      const blank = /^(?:[ \t]*(?:#[^\n]*)?\n)*/.exec(command)?.[0].length ?? 0; // comments before a command belong to it
      starts.add(this.#text.slice(0, found + blank).split("\n").length - 1);
      at = found + command.length;
    }
    const glyph = (/** @type {number} */ index) => {
      const sign = starts.has(index) ? "$" : /^\s*(#|$)/.test(lines[index]) ? "" : ">";
      return h(`span.glyph${sign === "$" ? "" : ".more"}`, { "aria-hidden": "true", "data-glyph": sign });
    };
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    /** @type {Text[]} */ const texts = [];
    while (walker.nextNode()) texts.push(/** @type {Text} */ (walker.currentNode));
    let index = 0;
    for (const text of texts) {
      const parts = text.data.split("\n");
      if (parts.length === 1) continue;
      const pieces = parts.flatMap((part, nth) => {
        if (nth === 0) return [part];
        index += 1;
        return index < lines.length && !(index === lines.length - 1 && lines[index] === "") ? ["\n", glyph(index), part] : [part];
      });
      text.replaceWith(...pieces);
    }
    code.prepend(glyph(0));
  }

  get runs() { return this.dataset.run === "true"; }
  get text() { return this.#text; }
  /** @returns {BlockState} */
  get state() { return /** @type {BlockState} */ (this.getAttribute("state") ?? "idle"); }

  #describe() {
    const where = this.dataset.term ? `node${this.dataset.term}` : "the active terminal";
    const count = this.#commands.length;
    const what = !this.runs ? `Types this into ${where}; you press Enter` : count > 1 ? `Runs these ${count} commands in ${where}, one after another` : `Runs this in ${where}`;
    this.#target.textContent = this.dataset.term ? `node${this.dataset.term}` : "";
    this.#target.hidden = !this.dataset.term;
    this.#hint.textContent = what;
    const again = this.runs && (this.state === "done" || this.state === "failed");
    this.#run.replaceChildren(icon(again ? "again" : this.runs ? "play" : "type", "small"));
    this.#run.title = again ? "Run again" : this.runs ? "Run" : "Type";
    const first = this.#text.trim().split("\n")[0].slice(0, 60);
    this.#run.setAttribute("aria-label", `${again ? "Run again" : this.runs ? "Run" : "Type"} in ${where}: ${first}`);
  }

  /**
   * @param {BlockState} state @param {string} [words] @param {...Node} more
   */
  setState(state, words = "", ...more) {
    clearInterval(this.#ticker);
    this.setAttribute("state", state);
    const symbols = { done: "check", failed: "alert", typed: "type" };
    const symbol = symbols[/** @type {"done"} */ (state)];
    this.#status.replaceChildren(...(state === "idle" ? [] : [h("span.what", {}, symbol ? icon(symbol, "small") : h("span.dot.creating"), words), ...more]));
    this.#describe();
    this.#run.disabled = state === "waiting" || state === "running";
    stage.changed(this);
  }

  /**
   * What an earlier visit did.
   * @param {"done" | "failed"} state
   */
  recall(state) {
    if (this.state === "idle") this.setState(state, state === "done" ? "Done earlier" : "Failed earlier");
  }

  #showMe() {
    return h("button.button.small", { type: "button", onclick: () => this.#showPlace() }, "Show me");
  }
  #showPlace() {
    if (!this.#view?.isConnected) return;
    stage.show(this.#view);
    const view = this.#view;
    requestAnimationFrame(() => view.show(this.#marker));
  }

  async #copied() {
    const done = await copyText(this.#text.replace(/\n$/, ""));
    this.#copy.replaceChildren(icon(done ? "check" : "alert", "small"));
    announce(done ? "Copied" : "Could not copy");
    setTimeout(() => this.#copy.replaceChildren(icon("copy", "small")), 1400);
  }

  /** @param {number} [from] the command to begin with */
  async activate(from = 0) {
    if (this.state === "waiting" || this.state === "running") return;
    const found = await terminalFor(this.dataset.term, this.runs);
    if ("refused" in found) {
      if (found.refused) this.setState("failed", found.refused);
      return;
    }
    const { view, how } = found;
    this.#view = view;
    this.#marker = null;
    if (how === "type") {
      view.insert(this.runs ? this.#text : this.#text.replace(/\n$/, ""));
      this.setState("typed", `Typed into ${view.program || view.label}`);
      stage.show(view);
      return;
    }
    if (!this.runs) {
      if (how === "wait") await view.free();
      view.insert(this.#text);
      this.setState("typed", "Typed; press Enter in the terminal to run it");
      stage.show(view);
      return;
    }
    stage.terminals?.activate(view, false);
    const before = queues.get(view) ?? Promise.resolve();
    const mine = before.then(() => this.#runAll(view, from)).catch(error => this.setState("failed", String(error?.message ?? error)));
    queues.set(view, mine);
    if (how === "wait" || view.busy) this.setState("waiting", `Waiting until ${view.label} is free`);
    await mine;
  }

  /** @param {import("./terminal-view.js").TerminalView} view @param {number} from */
  async #runAll(view, from) {
    const commands = this.#commands;
    const started = performance.now();
    this.#chips.replaceChildren();
    for (let index = from; index < commands.length; index++) {
      if (!view.integrated || view.busy) this.setState("waiting", `Waiting for the prompt of ${view.label}`);
      await view.free();
      this.#running(view, index);
      const end = await view.run(commands[index]);
      this.#marker = view.marker;
      if ("status" in end && end.status === 0) this.#offerJoin(findJoin(await view.lastOutput()), view.node);
      if ("gone" in end && !view.integrated) continue;
      if ("gone" in end) {
        this.setState("failed", `Its end was not seen: ${end.gone}`);
        return;
      }
      if (end.status !== 0) {
        const which = commands.length > 1 ? `Command ${index + 1} of ${commands.length} ended` : "Ended";
        const rest = index + 1 < commands.length;
        this.#from = index + 1;
        this.setState("failed", `${which} with exit status ${end.status}${end.status === 130 ? " (stopped)" : ""}`, this.#showMe(),
          ...(rest ? [h("button.button.small", { type: "button", onclick: () => this.activate(this.#from) }, "Run the rest")] : []));
        announce(`Failed with exit status ${end.status}`);
        return;
      }
    }
    if (!view.integrated) {
      this.setState("typed", "Typed; this shell does not tell how its commands end");
      return;
    }
    this.setState("done", `Done in ${tookWords(performance.now() - started)}`);
    announce("Done");
  }

  /**
   * A join command that the command printed: one button for each other node.
   * @param {string | null} join @param {string} node where it was printed
   */
  #offerJoin(join, node) {
    const others = join ? stage.nodes().filter(name => name !== node) : [];
    if (!join || !others.length) return;
    this.#chips.replaceChildren(h("span.what", {}, icon("check", "small"), "Join command found"), ...others.map(name => {
      const chip = h("button.chip.accent", { type: "button", title: join, onclick: async () => {
        chip.disabled = true;
        chip.textContent = `Joining ${name}`;
        const words = await runOn(name, join);
        chip.disabled = false;
        chip.textContent = words || `Run on ${name}`;
      } }, `Run on ${name}`);
      return chip;
    }));
    announce(`Join command found. It can be run on ${others.join(", ")}.`);
  }

  /** @param {import("./terminal-view.js").TerminalView} view @param {number} index */
  #running(view, index) {
    const count = this.#commands.length;
    const words = count > 1 ? `Running ${index + 1} of ${count} in ${view.label}` : `Running in ${view.label}`;
    this.setState("running", words, h("span.since"));
    const started = performance.now();
    this.#ticker = setInterval(() => {
      const since = this.#status.querySelector(".since");
      const seconds = (performance.now() - started) / 1000;
      if (since && seconds >= 3) since.textContent = tookWords(seconds * 1000);
      if (seconds >= 6 && !this.#status.querySelector("button")) this.#status.append(this.#showMe(), h("button.button.small", { type: "button", onclick: () => view.interrupt() }, "Stop"));
    }, 1000);
  }

  /**
   * A block that was running when the page was left.
   * @param {import("./terminal-view.js").TerminalView} view
   */
  async resumeRunning(view) {
    this.#view = view;
    this.#running(view, this.#commands.length - 1);
    const end = await view.ended();
    this.#marker = view.marker;
    if ("gone" in end) this.setState("idle");
    else if (end.status === 0) this.setState("done", "Done");
    else this.setState("failed", `Ended with exit status ${end.status}`, this.#showMe());
  }
  get terminalKey() { return this.#view?.key ?? ""; }
}

export class LessonInline extends HTMLElement {
  connectedCallback() {
    const code = this.querySelector("code");
    if (!code || this.querySelector("button")) return;
    const text = code.textContent ?? "";
    const runs = this.dataset.run === "true";
    const where = this.dataset.term ? `node${this.dataset.term}` : "the active terminal";
    code.replaceWith(h("button", { type: "button", title: runs ? `Runs this in ${where}` : `Types this into ${where}`, "aria-label": `${runs ? "Run" : "Type"} in ${where}: ${text}`, onclick: () => this.#act(text, runs) }, text));
  }

  /** @param {string} text @param {boolean} runs */
  async #act(text, runs) {
    const found = await terminalFor(this.dataset.term, runs);
    if ("refused" in found) {
      if (found.refused) announce(found.refused);
      return;
    }
    if (found.how === "wait") await found.view.free();
    stage.show(found.view);
    if (runs && found.how !== "type") await found.view.run(text);
    else found.view.insert(text);
  }
}

customElements.define("lectern-block", LessonBlock);
customElements.define("lectern-inline", LessonInline);
