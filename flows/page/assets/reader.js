// The reader: one prompt, and its samples side by side with what the verifiers said.

class Reader {
  constructor(store) {
    this.store = store;
    this.box = byId("reader");
    this.wanted = null;
    this.box.addEventListener("keydown", (event) => { if (event.key === "Escape") this.leave(); });
    this.clear();
  }

  clear() {
    this.wanted = null;
    this.box.replaceChildren(el("p", { class: "empty" }, "Choose a prompt to read its samples side by side. With the keyboard: arrows in the list, Enter to go to the samples, Escape to come back."));
    byId("browser").classList.remove("reading");
  }

  /** Go back to the list. */
  leave() {
    byId("browser").classList.remove("reading");
    byId("list").focus();
  }

  /** Show a prompt. `go`: move the keyboard there too. */
  async show(prompt, matched, text, go) {
    this.wanted = prompt;
    const texts = await this.store.texts(prompt);
    if (this.wanted !== prompt) return; // another was chosen meanwhile
    const [first] = this.store.range(prompt);
    const { store } = this;
    this.box.replaceChildren(
      el("button", { type: "button", id: "back", onclick: () => this.leave() }, "← Back to the list"),
      el("h3", { class: "mono" }, store.id[prompt]),
      el("ul", { class: "chips" }, [store.sources[store.source[prompt]], texts.license, texts.grown_by && `grown by ${texts.grown_by}`, ...store.tagged[prompt].map((tag) => store.tags[tag].join(": "))].filter(Boolean).map((name) => el("li", { class: "chip" }, name))),
      el("div", { class: "asked" }, passage(texts.prompt, text)),
      texts.reference && el("div", null, el("p", { class: "meta" }, "Reference"), passage(texts.reference, text)) || "",
      texts.tests && el("details", null, el("summary", null, "Tests"), passage(texts.tests, text)) || "",
      (texts.sent || []).length ? el("details", null, el("summary", null, texts.sent.length > 1 ? "What was sent, in each way" : "What was sent"), texts.sent.map((turns) => turns.map(([role, content]) => el("div", { class: "turn" }, el("p", { class: "role" }, role), passage(content, text))))) : "",
      el("div", { class: "samples", tabindex: "0", role: "group", "aria-label": "Samples side by side" }, texts.samples.map((sample, number) => this.sample(sample, first + number, matched, text))),
    );
    this.box.scrollTop = 0;
    const samples = this.box.querySelector(".samples");
    const hit = samples.querySelector(".sample:not(.miss)");
    if (hit) samples.scrollLeft = hit.offsetLeft - 4; // what was filtered or searched for is in sight
    byId("browser").classList.add("reading");
    if (go || narrow()) this.box.focus();
  }

  sample(sample, number, matched, text) {
    const { store } = this;
    const [outcome, stage] = store.ends[store.end[number]];
    const strategy = store.strategies[store.strategy[number]];
    const usage = [
      sample.tokens_in !== undefined && `${count(sample.tokens_in)} tokens in`, sample.tokens_out !== undefined && `${count(sample.tokens_out)} out`, sample.tokens_reasoning && `${count(sample.tokens_reasoning)} of reasoning`,
      sample.cost_usd && dollars(sample.cost_usd), sample.latency_s !== undefined && `${figure(sample.latency_s)} s`, sample.temperature !== undefined && `temperature ${figure(sample.temperature)}`, sample.finish_reason && `ended by ${sample.finish_reason}`,
    ].filter(Boolean).join(" · ");
    return el("section", { class: `sample ${outcome}${matched[number] ? "" : " miss"}`, "aria-label": `Sample ${sample.sample_index} of ${store.teachers[store.teacher[number]]}, ${outcome}` },
      el("h4", null, store.teachers[store.teacher[number]], strategy && ` · ${strategy}`, el("small", null, ` sample ${sample.sample_index}`)),
      el("p", { class: "ended" }, outcome === "kept" ? "kept" : `${outcome} at ${stage}`, sample.score !== undefined && ` · score ${figure(sample.score)}`),
      sample.reason && passage(sample.reason, text, "text meta"),
      sample.verdicts && el("ul", { class: "verdicts" }, sample.verdicts.map(([verifier, passed, score, reason]) => el("li", { class: passed === true ? "pass" : passed === false ? "fail" : "open" },
        store.verifiers[verifier], score !== null && score !== undefined && ` ${figure(score)}`, textOf(reason) && el("span", { class: "why" }, ": ", marked(textOf(reason), text))))),
      sample.reasoning !== undefined && el("details", { class: "reasoning" }, el("summary", null, `Reasoning, ${count(textOf(sample.reasoning).length)} characters`), passage(sample.reasoning, text)),
      sample.response !== undefined ? passage(sample.response, text) : el("p", { class: "cut" }, "No response."),
      usage && el("p", { class: "meta" }, usage));
  }
}

/** Return a text with what is searched for marked, and a line of what was left out. */
const passage = (text, sought, name = "text") => [
  el("div", { class: name, dir: "auto" }, marked(textOf(text), sought)),
  Array.isArray(text) && el("p", { class: "cut" }, `${count(text[1])} more characters are left out here; the command “show” has them.`),
];

/** Return a text's pieces, the sought ones as <mark>. */
function marked(text, sought) {
  if (!sought) return text;
  const pieces = [];
  const lower = text.toLowerCase();
  const needle = sought.toLowerCase();
  if (lower.length !== text.length) return text; // a letter whose small form is longer: places would be wrong
  let from = 0;
  for (let found = lower.indexOf(needle); found >= 0 && pieces.length < 1000; found = lower.indexOf(needle, from)) {
    pieces.push(text.slice(from, found), el("mark", null, text.slice(found, found + needle.length)));
    from = found + needle.length;
  }
  return [...pieces, text.slice(from)];
}
