// Three remarks for a first visit; dismissed once, they never come back.

import { h, place, remember, remembered } from "./dom.js";

const marks = [
  { on: "lectern-block", title: "Click a command and it runs.", words: "The small name on the right says in which terminal. The box then shows whether it worked." },
  { on: ".term-tabs", title: "These are your machines.", words: "Type in them as you like. “+” opens another shell, and the button on the right puts them side by side." },
  { on: "#clock", title: "This is the time you have left.", words: "You are warned before it ends, and can ask for more." },
];

export function coach() {
  if (remembered("coached", false)) return;
  show(0);
}

/** @param {number} index */
function show(index) {
  const mark = marks[index];
  if (!mark) { remember("coached", true); return; }
  const target = /** @type {HTMLElement | null} */ (document.querySelector(mark.on));
  if (!target?.offsetParent) { show(index + 1); return; }
  const finish = (/** @type {boolean} */ all) => {
    bubble.remove();
    target.classList.remove("coached");
    removeEventListener("resize", move);
    target.removeEventListener("click", next);
    if (all) remember("coached", true);
    else show(index + 1);
  };
  const last = index === marks.length - 1;
  const bubble = h("div.coach", { role: "dialog", "aria-label": mark.title },
    h("strong", {}, mark.title), h("p", {}, mark.words),
    h("div.actions", {}, h("span", {}, `${index + 1} of ${marks.length}`),
      last ? null : h("button", { type: "button", onclick: () => finish(true) }, "Skip"),
      h("button", { type: "button", onclick: () => finish(false) }, last ? "Got it" : "Next")));
  bubble.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => { if (event.key === "Escape") finish(true); });
  const move = () => place(bubble, target.getBoundingClientRect());
  const next = () => finish(false); // they did it: no need to go on about it
  target.addEventListener("click", next);
  document.body.append(bubble);
  target.classList.add("coached");
  move();
  addEventListener("resize", move);
}
