// The admin page: the machine's four numbers, every lab, the caps and the audit, live.

import { api, EventStream, serverNow } from "./api.js";
import { byId, copyText, dialog, h, themeButton, toast } from "./dom.js";
import { bytesWords, duration, moment, plural, shortDuration } from "./words.js";
import { CapsForm } from "./admin-caps.js";

const refreshMilliseconds = 5000;
/** Points of the load line. */
const historyLimit = 60;

/** @type {any[]} */ let labs = [];
/** @type {{key: string, up: boolean}} */ let order = { key: "age", up: true };
/** @type {number[]} */ const history = [];
const filter = byId("filter");
const caps = new CapsForm(byId("caps"), refresh);

const age = (/** @type {any} */ lab) => (typeof lab.ageSeconds === "number" ? lab.ageSeconds : (serverNow() - Date.parse(lab.createdAt)) / 1000);
const left = (/** @type {any} */ lab) => (lab.expiresAt ? (Date.parse(lab.expiresAt) - serverNow()) / 1000 : NaN);
const owner = (/** @type {any} */ lab) => (typeof lab.owner === "object" ? lab.owner?.name ?? lab.owner?.id : lab.owner) ?? "";

/** @type {[string, string, (lab: any) => any, (lab: any) => string | Node, boolean?][]} */
const columns = [
  ["id", "Lab", lab => lab.id, lab => h("code", {}, lab.id)],
  ["owner", "Owner", owner, owner],
  ["workshop", "Workshop", lab => lab.workshop, lab => lab.workshop],
  ["state", "State", lab => lab.state, lab => h("span.state", { title: lab.message || lab.reason || null }, h(`span.dot.${{ ready: "ready", creating: "creating", queued: "creating", failed: "failed" }[/** @type {string} */ (lab.state)] ?? "gone"}`), lab.state)],
  ["nodes", "Nodes", lab => lab.nodes?.length ?? 0, lab => String(lab.nodes?.length ?? 0), true],
  ["age", "Age", age, lab => shortDuration(age(lab)), true],
  ["left", "Left", left, lab => (over(lab) || Number.isNaN(left(lab)) ? "–" : shortDuration(left(lab))), true],
  ["memory", "Memory", lab => lab.usage?.memoryBytes ?? 0, lab => (lab.usage ? bytesWords(lab.usage.memoryBytes) : "–"), true],
  ["cpu", "CPU time", lab => lab.usage?.cpuSeconds ?? 0, lab => (lab.usage ? shortDuration(lab.usage.cpuSeconds) : "–"), true],
  ["disk", "Disk", lab => lab.usage?.diskBytes ?? 0, lab => (lab.usage ? bytesWords(lab.usage.diskBytes) : "–"), true],
];
const over = (/** @type {any} */ lab) => ["ended", "failed", "ending"].includes(lab.state);

function drawLabs() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const get = columns.find(([key]) => key === order.key)?.[2] ?? (() => 0);
  const shown = labs.filter(lab => {
    const text = [lab.id, owner(lab), lab.workshop, lab.state, lab.reason].join(" ").toLowerCase();
    return words.every((/** @type {string} */ word) => text.includes(word));
  }).sort((a, b) => {
    const [x, y] = [get(a), get(b)];
    return (typeof x === "number" ? x - y : String(x).localeCompare(String(y))) * (order.up ? 1 : -1);
  });
  const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.focus;
  byId("labs").replaceChildren(
    h("thead", {}, h("tr", {}, ...columns.map(([key, title, , , figure]) => h(`th${figure ? ".figure" : ""}`, { scope: "col", "aria-sort": order.key === key ? (order.up ? "ascending" : "descending") : null },
      h("button", { type: "button", "data-focus": `sort-${key}`, onclick: () => { order = { key, up: order.key === key ? !order.up : true }; drawLabs(); } }, title, order.key === key ? (order.up ? " ↑" : " ↓") : ""))),
    h("th", { scope: "col" }, h("span.visually-hidden", {}, "Actions")))),
    h("tbody", {}, ...(shown.length ? shown.map(row) : [h("tr", {}, h("td.empty", { colspan: columns.length + 1 }, labs.length ? "No lab fits the filter." : "No labs are running. They show up here as soon as somebody starts one."))])));
  if (focused) /** @type {HTMLElement | null} */ (document.querySelector(`[data-focus="${focused}"]`))?.focus();
}

/** @param {any} lab */
function row(lab) {
  return h("tr", {}, ...columns.map(([, , , show, figure]) => h(`td${figure ? ".figure" : ""}`, {}, show(lab))),
    h("td.acts", {},
      over(lab) ? null : h("button.button.small", { type: "button", "data-focus": `extend-${lab.id}`, "aria-label": `Extend lab ${lab.id} by 30 minutes`, onclick: () => extend(lab) }, "+30 min"),
      over(lab) ? null : h("button.button.small.danger", { type: "button", "data-focus": `end-${lab.id}`, "aria-label": `End lab ${lab.id}`, onclick: () => end(lab) }, "End…")));
}

/** @param {any} lab */
async function extend(lab) {
  try {
    await api("POST", `/labs/${lab.id}/extend`, { minutes: 30 });
    toast(`Lab ${lab.id} has 30 minutes more.`, { level: "success" });
    await refresh();
  } catch (error) { toast(/** @type {Error} */ (error).message, { level: "danger", title: "Not extended" }); }
}

/** @param {any} lab */
async function end(lab) {
  const nodes = (lab.nodes ?? []).map((/** @type {any} */ node) => node.name).join(", ");
  const sure = await dialog({
    title: `End lab ${lab.id}?`, cancel: "Keep it",
    body: [h("p", {}, `${owner(lab) || "Its owner"} loses ${plural(lab.nodes?.length ?? 0, "machine")}${nodes ? ` (${nodes})` : ""} of “${lab.workshop}” with every file and program on them${lab.usage ? `, ${bytesWords(lab.usage.diskBytes)} on disk` : ""}. This cannot be undone.`)],
    actions: [{ value: "end", words: "End the lab", kind: "danger primary" }],
  });
  if (!sure) return;
  try {
    await api("DELETE", `/labs/${lab.id}`);
    await refresh();
  } catch (error) { toast(/** @type {Error} */ (error).message, { level: "danger", title: "Not ended" }); }
}

/** @param {string} title @param {(string | Node)[]} value @param {number | null} percent @param {string} note @param {Node | null} [drawing] */
function numberCard(title, value, percent, note, drawing = null) {
  const bar = percent === null ? null : h(`div.bar${percent > 92 ? ".danger" : percent > 78 ? ".warning" : ""}`, { role: "meter", "aria-label": title, "aria-valuenow": Math.round(percent), "aria-valuemin": 0, "aria-valuemax": 100 }, h("span"));
  bar?.firstElementChild.style.setProperty("--value", String(Math.min(100, percent ?? 0)));
  return h("div.number-card", {}, h("h2", {}, title), h("div.value", {}, ...value), drawing ?? bar, h("p", {}, note));
}

/**
 * The load of the last minutes as a line.
 * @param {number} top
 */
function spark(top) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${historyLimit - 1} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const from = historyLimit - history.length;
  path.setAttribute("d", history.map((value, index) => `${index ? "L" : "M"}${from + index} ${(19 - Math.min(1, value / top) * 18).toFixed(1)}`).join(""));
  svg.append(path);
  return svg;
}

/** @param {any} now */
function drawNumbers(now) {
  const { memory, cpu, disk } = now;
  const small = (/** @type {string} */ words) => h("small", {}, words);
  history.push(cpu.percent ?? 0);
  if (history.length > historyLimit) history.shift();
  const most = now.caps?.labsTotal?.value ?? null;
  byId("numbers").replaceChildren(
    numberCard("Labs", [String(now.labs), small(most ? `of ${most}` : "")], most ? now.labs / most * 100 : null, `${plural(now.nodes, "node")} in them${now.queued ? `, ${now.queued} waiting` : ""}`),
    numberCard("Memory", [bytesWords(memory.usedBytes), small(`of ${bytesWords(memory.totalBytes)}`)], memory.usedBytes / memory.totalBytes * 100, `${bytesWords(memory.committedBytes)} promised to labs${memory.serverBytes ? `, ${bytesWords(memory.serverBytes)} the server itself` : ""}`),
    numberCard("CPU", [`${Math.round(cpu.percent ?? 0)}%`, small(`of ${plural(cpu.count, "core")}`)], null, `Load ${(now.load ?? []).map((/** @type {number} */ value) => value.toFixed(2)).join(" · ")} over 1, 5, 15 minutes`, spark(100)),
    numberCard("Disk", [bytesWords(disk.freeBytes), small(`free of ${bytesWords(disk.totalBytes)}`)], (1 - disk.freeBytes / disk.totalBytes) * 100, forecast(disk)));
}

/** @type {{at: number, free: number} | null} */ let firstDisk = null;
/**
 * When the disk is full at the pace since the page was opened.
 * @param {{freeBytes: number}} disk
 */
function forecast(disk) {
  firstDisk ??= { at: Date.now(), free: disk.freeBytes };
  const seconds = (Date.now() - firstDisk.at) / 1000;
  const pace = (firstDisk.free - disk.freeBytes) / seconds;
  if (seconds < 60) return "Forecast after a minute of watching";
  if (pace <= 1024) return "Not filling up at the moment";
  return `Full in about ${duration(disk.freeBytes / pace)} at this pace`;
}

/** @param {any[]} entries */
function drawAudit(entries) {
  byId("audit").replaceChildren(...(entries.length ? entries.map(({ at, who, what }) => h("li", {}, h("time", { datetime: at }, moment(at)), h("span.who", {}, who), h("span", {}, what))) : [h("li", {}, "Nothing has been done yet.")]));
}

async function refresh() {
  try {
    const [now, all] = await Promise.all([api("GET", "/admin/overview"), api("GET", "/labs?all=1")]);
    labs = all.labs;
    drawNumbers(now);
    drawLabs();
    caps.show(now.caps ?? {});
    drawAudit(now.audit ?? []);
    showLive(true);
  } catch (error) {
    const { status, message } = /** @type {import("./api.js").APIError} */ (error);
    showLive(false);
    if (status === 401 || status === 403) {
      stream?.close();
      clearInterval(timer);
      byId("admin").replaceChildren(h("div.plain", {}, h("h1", {}, "Only an administrator may see this"), h("p", {}, "Open the one-time link that the server printed when it started, or make a new one on the server:"), h("p", {}, h("code", {}, "lectern admin login-link")), h("div.actions", {}, h("a.button", { href: "/" }, "All workshops"))));
      byId("invite").hidden = true;
    } else if (!labs.length) toast(message, { level: "danger", title: "The numbers could not be had" });
  }
}

/** @param {boolean} live */
function showLive(live) {
  byId("live").querySelector(".dot").className = `dot ${live ? "ready" : "failed"}`;
  byId("live").querySelector(".words").textContent = live ? "Live" : "Not connected";
}

byId("invite").addEventListener("click", async () => {
  try {
    const role = await dialog({ title: "A link for whom?", body: [h("p", {}, "Whoever opens the link first is signed in with this role. It works once.")], choices: [{ value: "instructor", words: "An instructor", note: "sees every lab" }, { value: "admin", words: "An admin", note: "may change the caps too" }] });
    if (!role) return;
    const { url } = await api("POST", "/admin/login-links", { role });
    const choice = await dialog({ title: "A login link", cancel: "Close", wide: true, body: [h("p", {}, `Whoever opens it first is signed in as ${role === "admin" ? "an admin" : "an instructor"}. It works once.`), h("p", {}, h("code", {}, url))], actions: [{ value: "copy", words: "Copy", kind: "primary" }] });
    if (choice === "copy" && await copyText(url)) toast("The link is copied.", { level: "success" });
  } catch (error) { toast(/** @type {Error} */ (error).message, { level: "danger", title: "No link was made" }); }
});
themeButton(byId("theme-button"));
filter.addEventListener("input", drawLabs);

/**
 * Several events in a row are one refresh.
 * @type {ReturnType<typeof setTimeout> | undefined}
 */
let soon;
/** @type {ReturnType<typeof setInterval> | undefined} */ let timer;
/** @type {EventStream | null} */ let stream = null;
drawLabs();
await refresh();
if (!byId("invite").hidden) {
  timer = setInterval(() => { if (!document.hidden) refresh(); }, refreshMilliseconds);
  stream = new EventStream(null, event => {
    if (event.type !== "labs" && event.type !== "lab") return;
    clearTimeout(soon);
    soon = setTimeout(refresh, 300);
  }, () => {});
}
