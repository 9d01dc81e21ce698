// The catalogue page: finds workshops as one types, by topic too, and leads back to a lab that runs.

import { api, serverNow } from "./api.js";
import { byId, h, icon, remembered, themeButton, toast, dialog } from "./dom.js";
import { duration, plural, shortDuration } from "./words.js";

/**
 * @typedef {{name: string, title: string, description: string, duration?: number, difficulty?: string, tags?: string[], nodes?: number, author?: string, image?: string, problems?: number}} Workshop
 */

/** @type {Workshop[]} */ let workshops = [];
/** @type {Set<string>} */ const chosen = new Set();
const search = byId("search");

/** @param {Workshop} workshop */
function card(workshop) {
  const at = remembered(`progress.${workshop.name}`, null);
  const started = at && at.seen?.length > 1;
  return h("li.card", {},
    workshop.image ? h("img", { src: workshop.image, alt: "", loading: "lazy" }) : null,
    h("h2", {}, h("a", { href: `/w/${encodeURIComponent(workshop.name)}` }, workshop.title)),
    h("p", {}, workshop.description ?? ""),
    h("div.meta", {},
      workshop.duration ? h("span", {}, icon("clock", "small"), duration(workshop.duration * 60)) : null,
      workshop.difficulty ? h("span", {}, icon("level", "small"), capital(workshop.difficulty)) : null,
      workshop.nodes ? h("span", {}, icon("node", "small"), plural(workshop.nodes, "node")) : null,
      workshop.problems ? h("span.chip.warning", { title: "lectern lint names them" }, plural(workshop.problems, "problem")) : null),
    started ? h("div.so-far", {}, `You have begun: ${plural(at.seen.length, "step")} seen`) : null,
    workshop.tags?.length ? h("div.topics", {}, ...workshop.tags.map(tag => h("span", {}, `#${tag}`))) : null);
}

const capital = (/** @type {string} */ words) => words.charAt(0).toUpperCase() + words.slice(1);

function draw() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = workshops.filter(workshop => {
    const text = [workshop.title, workshop.description, workshop.author, workshop.difficulty, ...workshop.tags ?? []].join(" ").toLowerCase();
    return words.every((/** @type {string} */ word) => text.includes(word)) && [...chosen].every(tag => workshop.tags?.includes(tag));
  });
  byId("found").textContent = found.length === workshops.length ? plural(workshops.length, "workshop") : `${found.length} of ${plural(workshops.length, "workshop")}`;
  byId("workshops").replaceChildren(...found.map(card));
  if (!found.length && workshops.length) byId("workshops").append(h("li.nothing", {}, "Nothing fits. ", h("button.button.small", { type: "button", onclick: () => { search.value = ""; chosen.clear(); drawTags(); draw(); } }, "Show all")));
}

function drawTags() {
  /** @type {Map<string, number>} */ const counts = new Map();
  for (const tag of workshops.flatMap(workshop => workshop.tags ?? [])) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  byId("tags").replaceChildren(...[...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, 12).map(([tag]) => h("button", {
    type: "button", "aria-pressed": String(chosen.has(tag)),
    onclick: (/** @type {MouseEvent} */ event) => {
      if (!chosen.delete(tag)) chosen.add(tag);
      /** @type {HTMLElement} */ (event.currentTarget).setAttribute("aria-pressed", String(chosen.has(tag)));
      draw();
    },
  }, tag)));
}

async function drawResume() {
  const { labs } = await api("GET", "/labs");
  const running = labs.filter((/** @type {any} */ lab) => !["ended", "failed", "ending"].includes(lab.state));
  const place = byId("resume");
  place.hidden = running.length === 0;
  place.replaceChildren(...running.map((/** @type {any} */ lab) => {
    const title = workshops.find(workshop => workshop.name === lab.workshop)?.title ?? lab.workshop;
    const left = (Date.parse(lab.expiresAt) - serverNow()) / 1000;
    const state = lab.state === "queued" ? "Your lab is in the queue" : lab.state === "creating" ? "Your lab is being made" : `Your lab is running, ${shortDuration(left)} left`;
    return h("div.resume", {},
      h("div.what", {}, h("strong", {}, title), h("small", {}, state)),
      h("button.button", { type: "button", onclick: () => end(lab, title) }, "End it"),
      h("a.button.primary", { href: `/w/${encodeURIComponent(lab.workshop)}` }, "Go on"));
  }));
}

/** @param {any} lab @param {string} title */
async function end(lab, title) {
  const names = (lab.nodes ?? []).map((/** @type {any} */ node) => node.name).join(", ");
  const sure = await dialog({ title: "End this lab?", cancel: "Keep it", body: [h("p", {}, `The machines of “${title}”${names ? ` (${names})` : ""} are removed, with everything on them.`)], actions: [{ value: "end", words: "End the lab", kind: "danger primary" }] });
  if (!sure) return;
  try {
    await api("DELETE", `/labs/${lab.id}`);
    await drawResume();
  } catch (error) { toast(/** @type {Error} */ (error).message, { level: "danger", title: "The lab could not be ended" }); }
}

themeButton(byId("theme-button"));
search.addEventListener("input", draw);
addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
  }
});
addEventListener("pageshow", event => { if (event.persisted) drawResume().catch(() => {}); });

try {
  [{ workshops }] = await Promise.all([api("GET", "/workshops")]);
  drawTags();
  draw();
  drawResume().catch(() => {});
  const session = await api("GET", "/session").catch(() => null);
  byId("admin-link").hidden = session?.account?.role !== "admin";
} catch (error) {
  byId("workshops").replaceChildren(h("li.nothing", {}, /** @type {Error} */ (error).message, " ", h("button.button.small", { type: "button", onclick: () => location.reload() }, "Try again")));
}
