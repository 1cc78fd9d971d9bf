// Filters: a prompt is listed where one of its samples is what every filter asks for.

const ANY = "";

class Filters {
  constructor(store, changed) {
    this.store = store;
    const ends = store.ends.map(([outcome, stage, kind]) => ({ outcome, stage, kind }));
    const named = (names) => names.map((name, number) => [String(number), name === null ? "(plain)" : name]).sort((one, other) => (one[1] < other[1] ? -1 : 1));
    const present = (values) => [...new Set(values.filter(Boolean))].sort().map((value) => [value, value]);
    const tags = store.tags.map(([tag, value], number) => [String(number), `${tag}: ${value}`]).sort((one, other) => (one[1] < other[1] ? -1 : 1));
    const failed = [...new Set(store.failures.flat())].map((number) => [String(number), store.verifiers[number]]);
    const of = (column) => (value) => (sample) => store[column][sample] === Number(value);
    const ofPrompt = (column, has) => (value) => (sample, prompt) => has(store[column][prompt], Number(value));
    this.fields = [
      ["outcome", "Outcome", present(ends.map((end) => end.outcome)), (value) => (sample) => ends[store.end[sample]].outcome === value],
      ["stage", "Stage", present(ends.map((end) => end.stage)), (value) => (sample) => ends[store.end[sample]].stage === value],
      ["kind", "Reason", present(ends.map((end) => end.kind)), (value) => (sample) => ends[store.end[sample]].kind === value],
      ["verifier", "Failed by", failed, (value) => (sample) => store.failures[store.failed[sample]].includes(Number(value))],
      ["teacher", "Teacher", named(store.teachers), of("teacher")],
      ["strategy", "Strategy", store.strategies.length > 1 ? named(store.strategies) : [], of("strategy")],
      ["tag", "Tag", tags, ofPrompt("tagged", (all, one) => all.includes(one))],
      ["source", "Source", named(store.sources), ofPrompt("source", (all, one) => all === one)],
    ].map(([id, label, options, test]) => ({ id, label, options, test, control: null })).filter((each) => each.options.length > (each.id === "teacher" || each.id === "source" ? 1 : 0));
    this.controls(changed);
  }

  controls(changed) {
    const made = this.fields.map((field) => {
      field.control = el("select", { id: `filter-${field.id}`, onchange: changed }, el("option", { value: ANY }, "any"), field.options.map(([value, name]) => el("option", { value }, name.length > 80 ? `${name.slice(0, 79)}…` : name)));
      return el("label", null, field.label, field.control);
    });
    this.search = el("input", { type: "search", id: "search", placeholder: "in prompts, responses, reasoning, reasons", autocomplete: "off", spellcheck: "false", oninput: changed });
    const clear = el("button", { type: "button", id: "clear", onclick: () => { this.reset(); changed(); } }, "Clear");
    byId("filters").append(el("label", { class: "search" }, "Search", this.search), ...made, clear);
    byId("filters").addEventListener("submit", (event) => { event.preventDefault(); byId("list").focus(); });
  }

  reset() {
    this.fields.forEach((field) => { field.control.value = ANY; });
    this.search.value = "";
  }

  get text() { return this.search.value.trim(); }

  get set() { return this.fields.some((field) => field.control.value !== ANY) || this.text !== ""; }

  /** Return 1 for each sample that passes all filters but the search. */
  matches() {
    const tests = this.fields.filter((field) => field.control.value !== ANY).map((field) => field.test(field.control.value));
    const found = new Uint8Array(this.store.samples);
    for (let prompt = 0; prompt < this.store.prompts; prompt += 1) {
      const [first, end] = this.store.range(prompt);
      for (let sample = first; sample < end; sample += 1) found[sample] = tests.every((test) => test(sample, prompt)) ? 1 : 0;
    }
    return found;
  }
}
