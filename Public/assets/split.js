// The bar between lesson and terminals: dragged, moved by keys, reset by a double click; it lies down on narrow pages.

import { byId, remember, remembered } from "./dom.js";

const usual = { wide: 47, stacked: 52 };
const limits = { least: 20, most: 80 };
const stepPercent = 2;

export function setUpSplit() {
  const bar = byId("split");
  const bench = byId("workbench");
  const narrow = matchMedia("(max-width: 899px)");
  const key = () => (narrow.matches ? "split.stacked" : "split.wide");
  const fallback = () => (narrow.matches ? usual.stacked : usual.wide);

  const show = (/** @type {number} */ percent) => {
    const value = Math.max(limits.least, Math.min(limits.most, percent));
    bench.style.setProperty("--split", `${value}%`);
    bar.setAttribute("aria-valuenow", String(Math.round(value)));
    bar.setAttribute("aria-valuetext", `Lesson ${Math.round(value)} percent`);
    bar.setAttribute("aria-orientation", narrow.matches ? "horizontal" : "vertical");
    return value;
  };
  const set = (/** @type {number} */ percent) => remember(key(), show(percent));
  const restore = () => show(remembered(key(), fallback()));
  restore();
  narrow.addEventListener("change", restore);

  bar.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0) return;
    bar.setPointerCapture(event.pointerId);
    bar.classList.add("dragging");
    document.body.classList.add("resizing");
    const area = bench.getBoundingClientRect();
    const move = (/** @type {PointerEvent} */ at) => show(narrow.matches ? (at.clientY - area.top) / area.height * 100 : (at.clientX - area.left) / area.width * 100);
    const done = () => {
      bar.removeEventListener("pointermove", move);
      bar.classList.remove("dragging");
      document.body.classList.remove("resizing");
      remember(key(), Number(bar.getAttribute("aria-valuenow")));
    };
    bar.addEventListener("pointermove", move);
    bar.addEventListener("lostpointercapture", done, { once: true });
  });
  bar.addEventListener("dblclick", () => set(fallback()));
  bar.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const now = Number(bar.getAttribute("aria-valuenow"));
    const to = { ArrowLeft: now - stepPercent, ArrowUp: now - stepPercent, ArrowRight: now + stepPercent, ArrowDown: now + stepPercent, Home: limits.least, End: limits.most, Enter: fallback() }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    set(to);
  });
}
