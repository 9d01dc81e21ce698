// <lectern-quiz>: a question with one or several right answers, graded in the page.

import { h, icon, announce } from "./dom.js";

let count = 0;

export class LessonQuiz extends HTMLElement {
  #result = h("span", { role: "status" });
  /** @type {{input: HTMLInputElement, row: HTMLElement, correct: boolean}[]} */ #answers = [];

  connectedCallback() {
    const list = this.querySelector("ul");
    if (!list || this.#answers.length) return;
    const several = this.dataset.kind === "multiple";
    const name = `quiz-${count++}`;
    this.id ||= name;
    const question = this.querySelector(".question");
    this.querySelectorAll(".explanation").forEach(explanation => { /** @type {HTMLElement} */ (explanation).hidden = true; });
    const set = h("fieldset", {}, h("legend", {}, ...(question ? [...question.childNodes] : ["Question"])));
    for (const entry of list.querySelectorAll("li")) {
      const label = entry.querySelector("label") ?? entry;
      label.querySelectorAll("input").forEach(old => old.remove());
      const input = h("input", { type: several ? "checkbox" : "radio", name });
      const explanation = entry.querySelector(".explanation");
      explanation?.remove();
      const row = h("label.answer", {}, input, h("span", {}, ...label.childNodes, explanation));
      input.addEventListener("change", () => this.#clear());
      this.#answers.push({ input, row, correct: entry.dataset.correct === "true" });
      set.append(row);
    }
    question?.remove();
    list.replaceWith(set);
    this.append(h("div.actions", {}, h("button.button.small", { type: "button", onclick: () => this.#grade() }, "Check"), this.#result));
  }

  #clear() {
    this.#result.textContent = "";
    for (const { row } of this.#answers) {
      row.classList.remove("right", "wrong");
      row.querySelector(".mark")?.remove();
      const explanation = /** @type {HTMLElement | null} */ (row.querySelector(".explanation"));
      if (explanation) explanation.hidden = true;
    }
  }

  #grade() {
    this.#clear();
    const chosen = this.#answers.filter(answer => answer.input.checked);
    if (chosen.length === 0) {
      this.#result.textContent = "Choose an answer first.";
      return;
    }
    const right = this.#answers.every(answer => answer.input.checked === answer.correct);
    for (const { row, correct } of chosen) {
      row.classList.add(correct ? "right" : "wrong");
      const explanation = /** @type {HTMLElement | null} */ (row.querySelector(".explanation"));
      if (explanation) explanation.hidden = false;
      row.append(h("span.mark", {}, icon(correct ? "check" : "close", "small"), correct ? "Right" : "Not this one"));
    }
    const missing = this.#answers.some(answer => answer.correct && !answer.input.checked);
    this.#result.textContent = right ? "That is right." : chosen.every(answer => answer.correct) && missing ? "Right so far; one or more are missing." : "Not yet. Change your answer and check again.";
    announce(this.#result.textContent);
    this.toggleAttribute("solved", right);
    this.dispatchEvent(new CustomEvent("quiz-graded", { bubbles: true, detail: right }));
  }

  /** An answer given on an earlier visit. */
  recall() {
    for (const answer of this.#answers) answer.input.checked = answer.correct;
    this.#grade();
  }
}

customElements.define("lectern-quiz", LessonQuiz);
