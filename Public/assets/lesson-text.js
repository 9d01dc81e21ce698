// The lesson's own side: pages, contents, steps, where the reader is, and what an earlier visit did.

import { h, icon, byId, copyText, announce, remember, remembered } from "./dom.js";

/**
 * @typedef {{slug: string, title: string, html: string, headings: {id: string, level: number, text: string}[], steps: {id: string, title: string}[]}} Page
 */

const wholeCharacters = 24;
/** The reader has scrolled only when it was further than this. */
const jumpSlackPixels = 40;

/** Events: `step` (the reader came to another step), `page` (another page is shown). */
export class LessonText extends EventTarget {
  /** @type {any} */ #workshop;
  /** @type {Page[]} */ #pages;
  /** @type {Page} */ #page;
  #step = 0;
  #progress;
  #article = byId("lesson");
  #scroll = byId("lesson-scroll");
  /** Set while a jump scrolls, so that what it passes does not count. */ #jumpUntil = 0;
  /** Where the last jump led: its step holds until the reader scrolls away from there. */ #jumpTop = -1000;

  /** @param {any} workshop @param {string} slug @param {import("./progress.js").Progress} progress */
  constructor(workshop, slug, progress) {
    super();
    this.#workshop = workshop;
    this.#pages = workshop.pages;
    this.#page = this.#pages.find(page => page.slug === slug) ?? this.#pages[0];
    this.#progress = progress;
    this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    byId("previous-step").addEventListener("click", () => this.go(this.#step - 1));
    byId("next-step").addEventListener("click", () => this.go(this.#step + 1));
    byId("contents-button").addEventListener("click", () => this.toggleContents());
    addEventListener("popstate", () => this.#fromAddress());
    document.addEventListener("click", event => this.#linkClicked(event));
    document.addEventListener("pointerdown", event => {
      const contents = byId("contents");
      if (!contents.hidden && !this.#pinned && !contents.contains(event.target) && !byId("contents-button").contains(event.target)) this.toggleContents(false);
    });
    byId("contents").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || this.#pinned) return;
      this.toggleContents(false);
      byId("contents-button").focus();
    });
    if (!this.#article.querySelector("*")) this.#article.innerHTML = this.#page.html;
    this.#dress();
    if (this.#pinned && matchMedia("(min-width: 1200px)").matches) this.toggleContents(true);
    this.#place();
  }

  get page() { return this.#page; }
  get step() { return this.#step; }
  /** Steps of all pages, in order. */
  get allSteps() { return this.#pages.flatMap(page => page.steps.map(step => ({ page, ...step }))); }
  /** Number of the step in the whole workshop, from 1. */
  get stepNumber() { return this.allSteps.findIndex(step => step.page === this.#page) + this.#step + 1; }
  get #pinned() { return remembered("contents", innerWidth >= 1680); }

  get #sections() { return /** @type {HTMLElement[]} */ ([...this.#article.querySelectorAll("section.step")]); }

  /** @param {string} slug */
  #address(slug) { return `/w/${encodeURIComponent(this.#workshop.name)}${slug === this.#pages[0].slug ? "" : `/${encodeURIComponent(slug)}`}`; }

  #fromAddress() {
    const slug = decodeURIComponent(location.pathname.split("/")[3] ?? "");
    const page = this.#pages.find(other => other.slug === slug) ?? this.#pages[0];
    if (page !== this.#page) this.#show(page);
    if (location.hash) this.#jump(document.getElementById(decodeURIComponent(location.hash.slice(1))));
  }

  /** @param {MouseEvent} event */
  #linkClicked(event) {
    const link = /** @type {HTMLAnchorElement | null} */ (/** @type {Element} */ (event.target).closest?.("a[href]"));
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || link.target === "_blank" || link.origin !== location.origin) return;
    const page = this.#pages.find(other => this.#address(other.slug) === link.pathname) ?? (link.pathname === location.pathname ? this.#page : null);
    if (!page) return;
    event.preventDefault();
    const hash = decodeURIComponent(link.hash.slice(1));
    if (page !== this.#page) this.#show(page);
    if (link.href !== location.href) history.pushState(null, "", link.pathname + link.hash);
    if (hash) this.#jump(document.getElementById(hash));
    else this.#jump(null);
    if (!this.#pinned) this.toggleContents(false);
  }

  /** @param {Page} page */
  #show(page) {
    this.#page = page;
    this.#article.innerHTML = page.html;
    this.#step = 0;
    this.#dress();
    this.#scroll.scrollTop = 0;
    this.#drawContents();
    this.#progress.update({ page: page.slug, step: page.steps[0]?.id ?? "" });
    this.dispatchEvent(new Event("page"));
    this.dispatchEvent(new Event("step"));
  }

  /**
   * Shows the lesson again after its file changed, at the same place.
   * @param {any} workshop
   */
  replace(workshop) {
    this.#workshop = workshop;
    this.#pages = workshop.pages;
    const page = this.#pages.find(other => other.slug === this.#page.slug) ?? this.#pages[0];
    const at = this.#scroll.scrollTop;
    this.#page = page;
    this.#article.innerHTML = page.html;
    this.#dress();
    this.#drawContents();
    this.#scroll.scrollTop = at;
    this.dispatchEvent(new Event("page"));
  }

  /** What the page adds to the lesson's HTML. */
  #dress() {
    document.title = `${this.#page.title === this.#workshop.title ? "" : `${this.#page.title} · `}${this.#workshop.title} · Lectern`;
    for (const heading of this.#article.querySelectorAll("h2[id], h3[id]")) {
      if (!heading.querySelector(".heading-link")) heading.append(h("a.heading-link", { href: `#${heading.id}`, "aria-label": `Link to ${heading.textContent}` }, "#"));
    }
    // A short name is not broken at its dashes.
    for (const code of this.#article.querySelectorAll(":not(pre) > code")) code.classList.toggle("whole", code.textContent.length <= wholeCharacters);
    for (const link of this.#article.querySelectorAll("a[href]:not(.port-link)")) {
      if (link.origin !== location.origin) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
    }
    for (const pre of this.#article.querySelectorAll("pre")) {
      if (pre.closest("lectern-block, .sample-frame")) continue;
      const frame = h("div.sample-frame");
      const language = /language-([\w-]+)/.exec(pre.firstElementChild?.className ?? "")?.[1] ?? "";
      const label = !language || language === "text" || language === "console" ? "output" : language;
      const copy = h("button.icon-button", { type: "button", "aria-label": "Copy", title: "Copy", onclick: async () => announce(await copyText(pre.textContent.replace(/\n$/, "")) ? "Copied" : "Could not copy") }, icon("copy", "small"));
      pre.before(frame);
      frame.append(pre, h("span.sample-label", { "aria-hidden": "true" }, label), copy);
      pre.tabIndex = 0;
      pre.setAttribute("role", "region");
      pre.setAttribute("aria-label", label === "output" ? "Sample output" : `Sample, ${label}`);
    }
    const { blocks, quizzes } = this.#progress.state;
    for (const block of this.#article.querySelectorAll("lectern-block")) {
      const outcome = blocks[this.blockKey(block)];
      if (outcome) block.recall?.(outcome);
    }
    for (const quiz of this.#article.querySelectorAll("lectern-quiz")) if (quizzes.includes(this.blockKey(quiz))) quiz.recall?.();
    const { ticks = {} } = this.#progress.state;
    for (const box of this.#article.querySelectorAll(".task-list-item input")) {
      box.disabled = false;
      const key = `${this.#page.slug}/${box.id}`;
      if (key in ticks) box.checked = ticks[key];
      box.addEventListener("change", () => this.#progress.update({ ticks: { ...this.#progress.state.ticks, [key]: box.checked } }));
    }
    this.#turn();
  }

  /**
   * A block's name in the progress: its page and id.
   * @param {Element} element
   */
  blockKey(element) {
    if (element.localName === "lectern-quiz") return `${this.#page.slug}/q${[...this.#article.querySelectorAll("lectern-quiz")].indexOf(element)}`;
    return `${this.#page.slug}/${element.id}`;
  }

  #turn() {
    const at = this.#pages.indexOf(this.#page);
    const link = (/** @type {Page | undefined} */ page, /** @type {string} */ words, /** @type {string} */ name) => (page ? h(`a.${name}`, { href: this.#address(page.slug), rel: name }, h("small", {}, words), page.title) : null);
    byId("turn").replaceChildren(...[link(this.#pages[at - 1], "Previous", "prev"), link(this.#pages[at + 1], "Next", "next")].filter(Boolean));
  }

  // Where the reader is

  #place() {
    const { page, step } = this.#progress.state;
    if (location.hash) this.#jump(document.getElementById(decodeURIComponent(location.hash.slice(1))), false);
    else if (page === this.#page.slug && step) {
      const section = this.#sections.find(other => other.dataset.step === step);
      if (section && section !== this.#sections[0]) this.#jump(section, false);
    }
    this.#scrolled();
    this.#drawContents();
  }

  /** @param {Element | null} target @param {boolean} [smooth] */
  #jump(target, smooth = true) {
    if (!target) { this.#scroll.scrollTo({ top: 0 }); return; }
    const top = target.getBoundingClientRect().top - this.#scroll.getBoundingClientRect().top + this.#scroll.scrollTop - 20;
    this.#scroll.scrollTo({ top, behavior: smooth ? "auto" : "instant" });
    if (target.matches("section.step, h2")) {
      const section = target.closest("section.step");
      const index = this.#sections.indexOf(/** @type {HTMLElement} */ (section));
      this.#jumpUntil = performance.now() + 700;
      this.#jumpTop = Math.min(top, this.#scroll.scrollHeight - this.#scroll.clientHeight);
      if (index >= 0) this.#setStep(index);
    }
  }

  /**
   * To a step of this page, or on to the next page.
   * @param {number} index
   */
  go(index) {
    const sections = this.#sections;
    const at = this.#pages.indexOf(this.#page);
    if (index < 0) {
      if (this.#scroll.scrollTop > 0) this.#scroll.scrollTo({ top: 0 });
      else if (at > 0) this.#open(this.#pages[at - 1]);
    } else if (index >= sections.length) {
      if (at + 1 < this.#pages.length) this.#open(this.#pages[at + 1]);
      else this.#scroll.scrollTo({ top: this.#scroll.scrollHeight });
    } else this.#jump(sections[index]);
  }

  /** @param {Page} page */
  #open(page) {
    history.pushState(null, "", this.#address(page.slug));
    this.#show(page);
  }

  #scrolled() {
    if (performance.now() < this.#jumpUntil || Math.abs(this.#scroll.scrollTop - this.#jumpTop) < jumpSlackPixels) return;
    this.#jumpTop = -1000;
    const top = this.#scroll.getBoundingClientRect().top + this.#scroll.clientHeight * 0.35;
    const sections = this.#sections;
    let step = 0;
    sections.forEach((section, index) => { if (section.getBoundingClientRect().top <= top) step = index; });
    if (this.#scroll.scrollTop + this.#scroll.clientHeight >= this.#scroll.scrollHeight - 4 && this.#scroll.scrollTop > 0) step = Math.max(0, sections.length - 1);
    this.#setStep(step);
  }

  /** @param {number} step */
  #setStep(step) {
    if (step === this.#step && byId("where").textContent) return;
    this.#step = step;
    const id = this.#page.steps[step]?.id ?? "";
    byId("where").textContent = this.#page.steps[step]?.title ?? this.#page.title;
    const key = `${this.#page.slug}/${id}`;
    const seen = this.#progress.state.seen;
    this.#progress.update({ page: this.#page.slug, step: id, seen: id && !seen.includes(key) ? [...seen, key] : seen });
    this.#drawContents();
    this.dispatchEvent(new Event("step"));
  }

  // Contents

  /** @param {boolean} [open] */
  toggleContents(open = byId("contents").hidden) {
    const contents = byId("contents");
    if (contents.hidden === !open) return;
    contents.hidden = !open;
    byId("contents-button").setAttribute("aria-expanded", String(open));
    byId("workbench").classList.toggle("pinned", open && this.#pinned);
    if (open) {
      this.#drawContents();
      if (!this.#pinned) contents.querySelector("[aria-current]")?.focus();
    }
  }

  #drawContents() {
    const contents = byId("contents");
    if (contents.hidden) return;
    const pinned = this.#pinned;
    const pin = h("button.icon-button", { type: "button", "aria-pressed": String(pinned), onclick: () => { remember("contents", !pinned); byId("workbench").classList.toggle("pinned", !pinned); this.#drawContents(); } }, pinned ? "Unpin" : "Keep open");
    let number = 0;
    const { seen } = this.#progress.state;
    const several = this.#pages.length > 1;
    contents.replaceChildren(h("header", {}, h("h2", {}, "Contents"), pin), h("ol", {}, ...this.#pages.flatMap(page => [
      several ? h("li", {}, h("a.page", { href: this.#address(page.slug), "aria-current": page === this.#page && !page.steps.length ? "page" : null }, page.title)) : null,
      ...page.steps.map((step, index) => {
        number += 1;
        const here = page === this.#page && index === this.#step;
        const done = !here && this.#isDone(page, step.id, seen);
        return h(`li${done ? ".done" : ""}`, {}, h("a", { href: `${this.#address(page.slug)}#${step.id}`, "aria-current": here ? "step" : null },
          h("span.number-mark", {}, done ? icon("check") : String(number)), h("span", {}, step.title, done ? h("span.visually-hidden", {}, ", done") : null)));
      }),
    ]).filter(Boolean)));
  }

  /**
   * Seen, and all that could be run there was.
   * @param {Page} page
   * @param {string} step
   * @param {string[]} seen
   */
  #isDone(page, step, seen) {
    if (!seen.includes(`${page.slug}/${step}`)) return false;
    if (page !== this.#page) return true;
    const section = this.#sections.find(other => other.dataset.step === step);
    const blocks = [...section?.querySelectorAll("lectern-block[data-run=true]") ?? []];
    return blocks.every(block => this.#progress.state.blocks[this.blockKey(block)] === "done");
  }

  /** Draws what depends on the progress anew. */
  progressChanged() { this.#drawContents(); }
}
