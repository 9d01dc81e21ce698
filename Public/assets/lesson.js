// The lesson page: puts lesson, lab, terminals and bar together.

import { api } from "./api.js";
import { announce, byId, dialog, h, icon, item, popover, themeButton, toast } from "./dom.js";
import { runOn, stage } from "./block.js";
import "./quiz.js";
import { coach } from "./coach.js";
import { helpDialog, endDialog, resetDialog, nodesMenu } from "./lesson-dialogs.js";
import { LabStore } from "./lab.js";
import { labPanel } from "./lab-panel.js";
import { LessonText } from "./lesson-text.js";
import { Ports } from "./ports.js";
import { Progress } from "./progress.js";
import { setUpSplit } from "./split.js";
import { Terminals } from "./terminals.js";
import { duration, moment, shortDuration } from "./words.js";
import { loadXterm } from "./xterm-loader.js";

const [, , name = "", slug = ""] = location.pathname.split("/").map(decodeURIComponent);
const warningMinutes = [15, 5, 1];
/** How much one press of the clock's button asks for, unless the caps allow only less. */
let extensionMinutes = 30;

const store = new LabStore(name);
const ports = new Ports(store);
const progress = new Progress(name);
/** @type {any} */ let session = null;
/** @type {any} */ let workshop = null;
/** @type {LessonText | null} */ let text = null;
/** @type {Terminals | null} */ let terminals = null;
/** @type {import("./api.js").APIError | null} */ let problem = null;
/**
 * Minutes of which a warning was given.
 * @type {Set<number>}
 */
const warned = new Set();
/**
 * Clicks on blocks that wait for a terminal.
 * @type {{number: string | undefined, resolve: (ready: boolean) => void}[]}
 */
let waitingForLab = [];

const lesson = byId("lesson");
const pane = byId("terminal-pane");

// Views of a small screen

/** @param {string} view */
function showView(view) {
  document.body.dataset.view = view;
  if (view === "terminals" && terminals?.active) terminals.activate(terminals.active, false); // it has been seen now
  for (const button of /** @type {any} */ (document.querySelectorAll(".bottombar button[data-view]:not([data-view=ports])"))) button.setAttribute("aria-pressed", String(button.dataset.view === view));
}
for (const button of /** @type {any} */ (document.querySelectorAll(".bottombar button"))) {
  button.addEventListener("click", () => (button.dataset.view === "ports" ? ports.menu(button) : showView(button.dataset.view)));
}

// The lab and its panel

function draw() {
  const { lab } = store;
  // Terminals that are there stay while nodes come and go.
  const panel = terminals && store.running && lab?.state !== "queued" ? null : labPanel({ lab, starting: store.starting, problem, workshop, minutes: lifetimeMinutes() }, {
    start: () => { problem = null; store.start(); },
    cancel: async () => { await attempt(() => store.end(), "The queue could not be left"); store.clear(); },
    again: () => { store.clear(); problem = null; store.start(); },
  });
  if (panel) {
    const had = pane.querySelector(".lab-panel");
    const focused = had?.contains(document.activeElement);
    if (had?.textContent !== panel.textContent) {
      terminals = null;
      stage.terminals = null;
      pane.replaceChildren(panel);
      if (focused) panel.querySelector("button")?.focus();
      announce(panel.querySelector("h2")?.textContent ?? "");
    }
  } else if (lab) {
    if (!terminals) {
      terminals = /** @type {Terminals} */ (document.createElement("lectern-terminals"));
      pane.replaceChildren(terminals);
      stage.terminals = terminals;
      terminals.follow(lab);
      announce("Your terminals are ready");
      terminals.addEventListener("terminal-attached", event => recallRunning(/** @type {any} */ (event.target)));
      terminals.addEventListener("join-found", event => offerJoin(/** @type {CustomEvent} */ (event).detail));
      setTimeout(() => coach(), 600);
    } else terminals.follow(lab);
    const isThere = (/** @type {string | undefined} */ number) => lab.state === "ready" || Boolean(terminals?.target(number));
    for (const { number, resolve } of waitingForLab) if (isThere(number)) resolve(true);
    waitingForLab = waitingForLab.filter(({ number }) => !isThere(number));
  }
  if (problem || lab?.state === "failed") for (const { resolve } of waitingForLab.splice(0)) resolve(false);
  for (const id of ["nodes-button", "ports-button"]) byId(id).hidden = !terminals;
  byId("link-state").hidden = !store.running;
  tick();
}

/**
 * How long a lab lasts, as far as the session tells.
 * @returns {number | null}
 */
function lifetimeMinutes() {
  const caps = session?.caps ?? {};
  return Number.isFinite(caps.labLifetimeMinutes) ? Math.min(caps.labLifetimeMinutes, caps.labLifetimeMaximumMinutes ?? Infinity) : null;
}

/** @param {() => Promise<any>} act @param {string} title */
async function attempt(act, title) {
  try { await act(); } catch (error) { toast(/** @type {Error} */ (error).message, { level: "danger", title }); }
}

store.addEventListener("lab", () => {
  if (store.running) problem = null;
  draw();
});
store.addEventListener("problem", event => {
  problem = /** @type {CustomEvent} */ (event).detail;
  draw();
});
store.addEventListener("link", drawLink);
function drawLink() {
  const place = byId("link-state");
  place.querySelector(".dot").className = `dot ${store.live ? "ready" : "creating"}`;
  place.querySelector(".words").textContent = store.live ? "Connected" : "Reconnecting, nothing is lost";
  place.title = store.live ? "Connected" : "Reconnecting, nothing is lost";
}
store.addEventListener("server-event", async event => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.type === "notice") toast(detail.message ?? "", { level: detail.level === "error" ? "danger" : detail.level ?? "info" });
  if (detail.type === "warning") warn(Number(detail.minutesLeft));
  if (detail.type === "workshop" && detail.name === name) {
    workshop = await api("GET", `/workshops/${encodeURIComponent(name)}`);
    text?.replace(workshop);
    ports.decorate();
    toast("The lesson was changed and is shown anew.");
  }
});

// The clock

function tick() {
  const clock = byId("clock");
  const { lab } = store;
  const shown = store.running && lab?.state !== "queued" && Number.isFinite(store.secondsLeft);
  clock.hidden = !shown;
  if (!shown || !lab) return;
  const seconds = store.secondsLeft;
  clock.className = `clock${seconds <= 60 ? " danger" : seconds <= 300 ? " warning" : ""}`;
  const words = seconds <= 0 ? "Ending" : `${shortDuration(seconds)} left`;
  const place = clock.querySelector(".words");
  if (place.textContent !== words) place.textContent = words;
  clock.querySelector(".left").title = `Until ${moment(lab.expiresAt)}`;
  const button = clock.querySelector(".extend");
  button.textContent = `+${extensionMinutes} min`;
  button.disabled = lab.extensionsLeft <= 0;
  button.title = lab.extensionsLeft > 0 ? `Adds ${extensionMinutes} minutes; ${lab.extensionsLeft} left` : "No extensions are left";
  button.setAttribute("aria-label", `Add ${extensionMinutes} minutes`);
  for (const minutes of warningMinutes) {
    if (seconds > minutes * 60) warned.delete(minutes);
    else if (seconds > minutes * 60 - 20) warn(minutes);
  }
}
setInterval(tick, 1000);

/** @param {number} minutes */
function warn(minutes) {
  if (warned.has(minutes) || !store.lab) return;
  warned.add(minutes);
  toast("Then its machines are removed, with everything on them.", {
    title: `Your lab ends in ${duration(minutes * 60)}`, level: minutes <= 1 ? "danger" : "warning", stay: minutes <= 5,
    action: store.lab.extensionsLeft > 0 ? [`+${extensionMinutes} min`, extend] : undefined,
  });
}

function extend() {
  return attempt(async () => {
    await store.extend(extensionMinutes);
    toast(`Your lab now ends in ${duration(store.secondsLeft)}.`, { level: "success" });
  }, "The lab could not be extended");
}
byId("clock").querySelector(".extend").addEventListener("click", extend);

async function endLab() {
  if (await endDialog(store.lab)) await attempt(() => store.end(), "The lab could not be ended");
}

// Menus

byId("ports-button").addEventListener("click", () => ports.menu(byId("ports-button")));
ports.addEventListener("change", () => {
  const tab = document.querySelector(".bottombar [data-view=ports]");
  tab?.querySelector(".count")?.remove();
  if (ports.count) tab?.append(h("span.count", {}, String(ports.count)));
  byId("ports-button").setAttribute("aria-label", ports.count ? `Ports, ${ports.count} listening` : "Ports");
});
byId("nodes-button").addEventListener("click", () => nodesMenu(byId("nodes-button"), store, {
  shell: node => terminals?.open(node),
  reset: async node => { if (await resetDialog(node)) await attempt(() => store.reset(node), `${node} could not be reset`); },
}));
byId("menu-button").addEventListener("click", () => popover(byId("menu-button"), close => {
  const act = (/** @type {() => void} */ does) => () => { close(); does(); };
  const small = matchMedia("(max-width: 599px)").matches;
  return [
    item("Help and keys", "help", act(helpDialog)),
    item("All workshops", "book", act(() => location.assign("/"))),
    session?.account?.role === "admin" ? item("Admin", "level", act(() => location.assign("/admin"))) : null,
    small && store.running ? item("Nodes", "node", act(() => byId("nodes-button").click())) : null,
    small ? item("Colours", "auto", () => byId("theme-button").click()) : null,
    store.running ? h("hr") : null,
    store.running && store.lab?.state !== "queued" ? item(`Add ${extensionMinutes} minutes`, "clock", act(extend), { disabled: (store.lab?.extensionsLeft ?? 0) <= 0, end: `${store.lab?.extensionsLeft} left` }) : null,
    store.running ? item("End the lab…", "power", act(endLab), { danger: true }) : null,
  ];
}, { menu: true, label: "Menu" }));
themeButton(byId("theme-button"));

// Blocks

stage.show = view => {
  if (matchMedia("(max-width: 599px)").matches) showView("terminals");
  terminals?.activate(view);
};
stage.nodes = () => store.lab?.nodes.map(node => node.name) ?? [];
stage.needLab = async number => {
  if (!store.running) {
    const answer = await dialog({ title: "Start the lab first?", body: [h("p", {}, "This runs on machines of your own, which are not there yet. They are usually ready in about a second.")], actions: [{ value: "start", words: "Start and run it", kind: "primary" }] });
    if (!answer) return false;
    problem = null;
    store.start();
  }
  if (store.lab?.state === "ready") return true;
  return new Promise(resolve => waitingForLab.push({ number, resolve }));
};
const runningKey = `lectern.running.${name}`;
stage.changed = block => {
  if (!text) return;
  const key = text.blockKey(block);
  if (block.state === "done" || block.state === "failed") progress.block(key, block.state);
  text.progressChanged();
  try {
    if (block.state === "running") sessionStorage.setItem(runningKey, JSON.stringify({ key, id: block.id, terminal: block.terminalKey, lab: store.lab?.id }));
    else if (JSON.parse(sessionStorage.getItem(runningKey) ?? "{}").key === key) sessionStorage.removeItem(runningKey);
  } catch { /* no storage: a reload forgets it */ }
};

/**
 * After a reload: the block whose command still runs shows it.
 * @param {import("./terminal-view.js").TerminalView} view
 */
function recallRunning(view) {
  try {
    const running = JSON.parse(sessionStorage.getItem(runningKey) ?? "null");
    if (!running || running.terminal !== view.key || running.lab !== store.lab?.id) return;
    const block = /** @type {any} */ (document.getElementById(running.id));
    if (!block || text?.blockKey(block) !== running.key || block.state === "running") return;
    if (view.busy) block.resumeRunning(view);
    else sessionStorage.removeItem(runningKey);
  } catch { /* nothing to recall */ }
}

/**
 * A join command that somebody got by typing.
 * @param {{join: string, node: string}} found
 */
function offerJoin({ join, node }) {
  const other = stage.nodes().find(name => name !== node);
  if (other) toast("It makes another node part of this cluster.", { title: "Join command found", stay: true, action: [`Run on ${other}`, () => runOn(other, join)] });
}
document.addEventListener("quiz-graded", event => {
  const key = text?.blockKey(/** @type {Element} */ (event.target));
  const { quizzes } = progress.state;
  if (key && /** @type {CustomEvent} */ (event).detail && !quizzes.includes(key)) progress.update({ quizzes: [...quizzes, key] });
});

function drawProgress() {
  if (!text) return;
  const all = text.allSteps.length;
  const place = byId("progress");
  place.hidden = all < 2;
  place.querySelector(".words").textContent = `Step ${text.stepNumber} of ${all}`;
  const bar = place.querySelector(".bar");
  const percent = Math.round(text.stepNumber / all * 100);
  bar.setAttribute("aria-valuenow", String(percent));
  bar.firstElementChild.style.setProperty("--value", String(percent));
}

// Keys of the page: F6 goes between lesson and terminals, as between panes elsewhere.
addEventListener("keydown", event => {
  if (event.key !== "F6") return;
  event.preventDefault();
  if (pane.contains(document.activeElement)) (lesson.querySelector("lectern-block .run") ?? byId("lesson-scroll")).focus();
  else if (terminals?.active) stage.show(terminals.active);
  else pane.querySelector("button")?.focus();
});

async function begin() {
  setUpSplit();
  drawLink();
  const [loaded, me] = await Promise.all([api("GET", `/workshops/${encodeURIComponent(name)}`), api("GET", "/session").catch(() => null), progress.load()]);
  workshop = loaded;
  session = me;
  extensionMinutes = Math.min(extensionMinutes, me?.caps?.extensionMinutes ?? extensionMinutes);
  byId("workshop-title").textContent = workshop.title;
  text = new LessonText(workshop, slug, progress);
  text.addEventListener("step", drawProgress);
  text.addEventListener("page", () => { ports.decorate(); drawProgress(); });
  ports.decorate();
  drawProgress();
  await store.find().catch(error => { problem = error; });
  draw();
  (globalThis.requestIdleCallback ?? setTimeout)(() => loadXterm().catch(() => {})); // so that Start does not wait for it
}

begin().catch(error => {
  pane.replaceChildren(h("div.lab-panel", {}, h("div.lab-card.danger", {}, h("span.sign", {}, icon("alert")), h("h2", {}, error.title ?? "The page could not be set up"), h("p", {}, error.message), h("div.actions", {}, h("button.button.primary", { type: "button", onclick: () => location.reload() }, "Try again")))));
});
