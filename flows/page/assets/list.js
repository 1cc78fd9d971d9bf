// The list: of thousands of prompts, only the rows that are in sight are elements.

const ROW = 64;
const DOTS = 16;

class List {
  constructor(store, chosen) {
    this.store = store;
    this.chosen = chosen;
    this.prompts = [];
    this.matched = new Uint8Array(store.samples);
    this.place = -1;
    this.rows = new Map();
    this.box = byId("list");
    this.inner = byId("rows");
    this.box.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.paint()).observe(this.box);
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("focus", () => { if (this.place < 0 && this.prompts.length) this.mark(0); });
  }

  /** List these prompts, whose matching samples are 1 in `matched`. What was marked stays so where it is still listed. */
  set(prompts, matched, { more = false } = {}) {
    const marked = this.prompts[this.place];
    this.prompts = prompts;
    this.matched = matched;
    this.place = marked === undefined ? -1 : prompts.indexOf(marked);
    if (!more) this.box.scrollTop = 0;
    this.inner.style.height = `${prompts.length * ROW}px`;
    this.rows.forEach((row) => row.remove());
    this.rows.clear();
    this.paint();
  }

  paint() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 4);
    const end = Math.min(this.prompts.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + 4);
    for (const [place, row] of this.rows) if (place < first || place >= end) { row.remove(); this.rows.delete(place); }
    for (let place = first; place < end; place += 1) if (!this.rows.has(place)) {
      const row = this.row(place);
      this.rows.set(place, row);
      this.inner.append(row);
    }
  }

  row(place) {
    const prompt = this.prompts[place];
    const [first, end] = this.store.range(prompt);
    const shown = Array.from({ length: Math.min(end - first, DOTS) }, (_, number) => first + number);
    const dots = shown.map((sample) => el("span", { class: `dot ${this.store.ends[this.store.end[sample]][0]}${this.matched[sample] ? " hit" : ""}` }));
    const kept = Array.from({ length: end - first }, (_, number) => first + number).filter((sample) => this.store.ends[this.store.end[sample]][0] === "kept").length;
    const made = el("div", {
      class: "row", role: "option", id: `row-${place}`, "aria-selected": place === this.place ? "true" : "false", "aria-setsize": this.prompts.length, "aria-posinset": place + 1,
      onclick: () => { this.mark(place); this.chosen(prompt, false); },
    }, el("p", { dir: "auto" }, this.store.title[prompt] || "(an empty prompt)"),
    el("div", { class: "under" }, el("span", null, this.store.id[prompt]), el("span", null, `${kept} of ${end - first} kept`), el("span", { class: "dots", "aria-hidden": "true" }, dots)));
    made.style.top = `${place * ROW}px`;
    return made;
  }

  mark(place) {
    if (this.rows.has(this.place)) this.rows.get(this.place).setAttribute("aria-selected", "false");
    this.place = place;
    const top = place * ROW;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
    this.paint();
    this.rows.get(place)?.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", `row-${place}`);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps && this.prompts.length) {
      this.mark(Math.min(this.prompts.length - 1, Math.max(0, this.place + steps[event.key])));
      if (!narrow()) this.chosen(this.prompts[this.place], false);
    } else if ((event.key === "Enter" || event.key === " " || event.key === "ArrowRight") && this.place >= 0) this.chosen(this.prompts[this.place], true);
    else return;
    event.preventDefault();
  }
}
