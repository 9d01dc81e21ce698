// What stands where the terminals will be: start, being made, queued, failed, ended; each says what happens and how long it takes.

import { h, icon } from "./dom.js";
import { duration, nodeWords, plural } from "./words.js";

/**
 * @param {string} symbol @param {string} title @param {(string | Node | null | undefined | false)[]} paragraphs
 * @param {{kind?: string, facts?: Node[], actions?: Node[]}} [more]
 */
function card(symbol, title, paragraphs, more = {}) {
  return h("div.lab-panel", {}, h(`div.lab-card${more.kind ? "." + more.kind : ""}`, {},
    h("span.sign", {}, icon(symbol)), h("h2", {}, title),
    ...paragraphs.filter(Boolean).map(words => (words instanceof Node ? words : h("p", {}, words || ""))),
    more.facts?.length ? h("ul.facts", {}, ...more.facts) : null,
    more.actions?.length ? h("div.actions", {}, ...more.actions) : null));
}

/** @param {string} words @param {() => void} act @param {string} [kind] */
const button = (words, act, kind = "primary") => h(`button.button.large${kind ? "." + kind : ""}`, { type: "button", onclick: act }, words);

/**
 * A rule's name in a sentence of its own.
 * @param {{reason?: string}} lab
 */
const rule = lab => (lab.reason && !lab.reason.startsWith("EndedBy") ? h("p", {}, "Rule: ", h("span.rule", {}, lab.reason)) : null);

/**
 * @typedef {{start: () => void, cancel: () => void, again: () => void}} PanelActions
 */

/**
 * @param {{lab: import("./lab.js").Lab | null, starting: boolean, problem: import("./api.js").APIError | null, workshop: any, minutes: number | null}} state
 * @param {PanelActions} actions
 * @returns {HTMLElement | null} nothing when the terminals themselves should be there
 */
export function labPanel({ lab, starting, problem, workshop, minutes }, actions) {
  if (problem) {
    return card("alert", problem.title, [problem.detail], { kind: "warning", actions: [button("Try again", actions.start), h("a.button.large", { href: "/" }, "All workshops")] });
  }
  if (!lab) {
    const nodes = workshop?.nodes ?? 1;
    if (starting) return creating(nodes, []);
    return card("terminal", nodes === 1 ? "A machine of your own" : `${word(nodes)} machines of your own`, [
      `Start the lab and ${nodes === 1 ? "a Linux machine is" : `${nodes} Linux machines are`} made for you alone. The terminals are usually here in about a second.`,
    ], {
      facts: [
        h("li", {}, icon("node"), plural(nodes, "node"), h("span.end", {}, Array.from({ length: Math.min(nodes, 3) }, (_, index) => `node${index + 1}`).join(" "))),
        minutes ? h("li", {}, icon("clock"), `Lasts ${duration(minutes * 60)}; you can ask for more`) : null,
        h("li", {}, icon("check"), "Nothing you do there can break anything"),
      ].filter(Boolean),
      actions: [button("Start the lab", actions.start)],
    });
  }
  switch (lab.state) {
    case "queued": {
      const place = lab.queue?.position ?? 0;
      return card("clock", "You are in the queue", [
        h("p.place", {}, place ? `#${place}` : ""),
        place === 1 ? "You are next." : `${plural(Math.max(0, place - 1), "person", "people")} before you.`,
        lab.queue?.estimateSeconds ? `It will take about ${duration(lab.queue.estimateSeconds)}. The lab starts by itself; you can read on in the meantime.` : "The lab starts by itself; you can read on in the meantime.",
        lab.message, rule({ reason: lab.queue?.rule ?? lab.reason }),
      ], { kind: "warning", actions: [button("Leave the queue", actions.cancel, "")] });
    }
    case "failed":
      return card("alert", "The lab could not be started", [lab.message || "Something went wrong on the server.", rule(lab)], { kind: "danger", actions: [button("Start again", actions.again)] });
    case "ending":
      return card("power", "The lab is being ended", ["Your machines are being removed. This takes about a second."]);
    case "ended":
      return card("power", "This lab has ended", [
        lab.message || "Its time was over.", rule(lab),
        "The machines and everything on them are gone. Your place in the lesson is kept.",
      ], { actions: [button("Start again", actions.again), h("a.button.large", { href: "/" }, "All workshops")] });
    case "creating":
      if (lab.nodes.some(node => node.state === "ready")) return null;
      return creating(workshop?.nodes ?? lab.nodes.length, lab.nodes);
    default:
      return null;
  }
}

/** @param {number} count @param {import("./lab.js").LabNode[]} nodes */
function creating(count, nodes) {
  const rows = nodes.length ? nodes : Array.from({ length: count }, (_, index) => ({ name: `node${index + 1}`, state: "creating", address: "", message: "" }));
  return card("terminal", "Making your machines", ["This usually takes about a second."], {
    facts: rows.map(node => h("li", {}, h(`span.dot.${node.state}`), node.name, h("span.end", {}, node.message || nodeWords[node.state]))),
  });
}

/** @param {number} count */
const word = count => ["No", "One", "Two", "Three", "Four", "Five"][count] ?? String(count);
