// The page: the report first, then the browser of samples.

function report(facts) {
  const parts = [summary(facts), course(facts), rates(facts), costs(facts), manner(facts), rights(facts), softLabels(facts)];
  byId("report").append(...parts.filter(Boolean));
  const sections = [...document.querySelectorAll("main section[id]")];
  byId("nav").append(...sections.map((each) => el("a", { href: `#${each.id}` }, each.querySelector("h2").textContent)));
  startCharts();
}

function browse(store, facts) {
  const { samples, prompts } = facts.embedded;
  byId("embedded").textContent = samples === facts.requested
    ? `All ${plural(samples, "sample")} of ${plural(prompts, "prompt")} are in this page.`
    : `${count(samples)} of ${count(facts.requested)} samples are in this page: those of ${count(prompts)} whole prompts, drawn evenly over the build, with some of each kind of rejection and failure among them. “--traces” embeds more.`;
  const reader = new Reader(store);
  const list = new List(store, (prompt, go) => reader.show(prompt, list.matched, filters.text, go));
  let running = null;
  let waiting = 0;
  const filters = new Filters(store, (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, event && event.type === "input" ? 200 : 0);
  });

  const say = (found, hits, ending) => { byId("status").textContent = `${plural(found, "prompt")}, ${plural(hits, "sample")}${ending}`; };

  async function apply() {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const began = performance.now();
    const matched = filters.matches();
    if (!filters.text) {
      const listed = [];
      let hits = 0;
      for (let prompt = 0; prompt < store.prompts; prompt += 1) {
        const [first, end] = store.range(prompt);
        let some = 0;
        for (let sample = first; sample < end; sample += 1) some += matched[sample];
        if (some) listed.push(prompt);
        hits += some;
      }
      list.set(listed, matched);
      say(listed.length, hits, filters.set ? "" : ", all of those in this page");
      done(began);
      return;
    }
    const listed = [];
    const narrowed = new Uint8Array(store.samples);
    let hits = 0;
    let painted = 0;
    list.set([], narrowed);
    await search(store, filters.text, matched, {
      signal,
      found(prompt, some) {
        listed.push(prompt);
        some.forEach((sample) => { narrowed[sample] = 1; });
        hits += some.length;
      },
      progress(share) {
        if (performance.now() - painted < 150 && share < 1) return;
        painted = performance.now();
        list.set(listed, narrowed, { more: true });
        say(listed.length, hits, share < 1 ? `; searching, ${Math.round(100 * share)} %` : "");
      },
    });
    if (!signal.aborted) done(began);
  }

  // For whoever measures: how long the latest filter or search took.
  const done = (began) => { byId("status").dataset.took = (performance.now() - began).toFixed(1); };

  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); filters.search.focus(); }
    if (event.key === "Escape" && event.target === filters.search) { filters.search.value = ""; apply(); byId("list").focus(); }
  });
  apply();
}

async function start() {
  startTheme();
  const facts = JSON.parse(byId("facts").textContent);
  report(facts);
  const index = JSON.parse(await unpacked(byId("index").textContent));
  browse(new Store(index), facts);
  document.documentElement.dataset.ready = "";
}

start().catch((error) => {
  byId("report").append(el("p", { class: "note warn", role: "alert" }, `This page could not be drawn whole: ${error.message}. It needs a browser of 2023 or later.`));
  throw error;
});
