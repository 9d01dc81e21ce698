// Dialogs of the lesson page: help, ending a lab, resetting a node, and the list of nodes.

import { dialog, h, popover, copyText, toast } from "./dom.js";
import { nodeWords, plural } from "./words.js";

const keys = /** @type {[string[], string][]} */ ([
  [["F6"], "Go between lesson and terminal"],
  [["Tab", "Enter"], "Move to a command and run it"],
  [["Ctrl", "Shift", "C"], "Copy the selection of the terminal"],
  [["Ctrl", "Shift", "V"], "Paste; at a prompt Ctrl V does too"],
  [["Ctrl", "Shift", "F"], "Find in the terminal"],
  [["Ctrl", "C"], "Stop what the terminal runs"],
  [["← →"], "On the bar between: move it; Enter resets it"],
]);

export function helpDialog() {
  return dialog({
    title: "Help", wide: true, cancel: "Close",
    body: [
      h("p", {}, "Read on the left, work on the right. A box with a coloured edge is a command: click it, and it runs in the terminal named on its right. A dashed box only shows what you should see."),
      h("p", {}, "If the connection goes, nothing is lost: the machines and all that runs on them wait, and the page connects again by itself. You can also close the page and come back."),
      h("p", {}, "Stuck beyond repair? Open Nodes and reset the machine: it is made anew in about a second, empty."),
      h("h3", {}, "Keys"),
      h("dl", {}, ...keys.flatMap(([names, words]) => [h("dt", {}, ...names.flatMap((name, index) => [index ? " " : "", h("kbd", {}, name)])), h("dd", {}, words)])),
    ],
  });
}

/** @param {import("./lab.js").Lab | null} lab @returns {Promise<boolean>} */
export async function endDialog(lab) {
  const nodes = lab?.nodes ?? [];
  const shells = nodes.reduce((sum, node) => sum + (node.terminals?.length ?? 0), 0);
  return await dialog({
    title: "End this lab?", cancel: "Keep it",
    body: [
      h("p", {}, "What will be lost, for good:"),
      h("ul", {}, h("li", {}, `${plural(nodes.length, "machine")}: ${nodes.map(node => node.name).join(", ")}, with every file on ${nodes.length === 1 ? "it" : "them"}`), h("li", {}, `${plural(shells, "shell")}, and everything that runs in ${shells === 1 ? "it" : "them"}`)),
      h("p", {}, "Your place in the lesson is kept."),
    ],
    actions: [{ value: "end", words: "End the lab", kind: "danger primary" }],
  }) === "end";
}

/** @param {string} node @returns {Promise<boolean>} */
export async function resetDialog(node) {
  return await dialog({
    title: `Reset ${node}?`, cancel: "Keep it as it is",
    body: [h("p", {}, `${node} is made anew, empty, as at the start of the lab. Its files and everything that runs on it are lost; the other machines are left alone. This takes about a second.`)],
    actions: [{ value: "reset", words: `Reset ${node}`, kind: "danger primary" }],
  }) === "reset";
}

/**
 * @param {HTMLElement} button @param {import("./lab.js").LabStore} store
 * @param {{shell: (node: string) => void, reset: (node: string) => void}} actions
 */
export function nodesMenu(button, store, actions) {
  popover(button.hidden || !button.offsetParent ? /** @type {HTMLElement} */ (document.getElementById("menu-button")) : button, close => [
    h("h2", {}, "Your nodes"),
    ...(store.lab?.nodes ?? []).map(node => h("div.node-row", {},
      h("div.top", {}, h(`span.dot.${node.state}`), h("strong", {}, node.name), h("span", {}, nodeWords[node.state] ?? node.state),
        h("button.icon-button.address", { type: "button", title: "Copy the address", "aria-label": `Copy the address of ${node.name}, ${node.address}`, onclick: async () => { if (await copyText(node.address)) toast(`${node.address} copied.`, { level: "success" }); } }, node.address)),
      node.message ? h("p.note", {}, node.message) : null,
      h("div.row-actions", {},
        h("button.button.small", { type: "button", disabled: node.state !== "ready", onclick: () => { close(); actions.shell(node.name); } }, "New shell"),
        h("button.button.small.danger", { type: "button", onclick: () => { close(); actions.reset(node.name); } }, "Reset…")))),
  ], { label: "Nodes" });
}
