// What whoever trains on the traces must know: diversity, style, licences, duplicates, contamination, and soft labels.

const MEASURES = [
  ["distinct_1", "distinct words, by all words", "higher"], ["distinct_2", "distinct pairs of words", "higher"], ["distinct_3", "distinct triples of words", "higher"],
  ["compression_ratio", "bytes by bytes compressed", "lower"], ["length_entropy", "entropy of lengths, bits", "higher"], ["opening_entropy", "entropy of openings, bits", "higher"],
  ["vendi", "Vendi score: wholly different texts that would be as diverse", "higher"], ["self_similarity", "mean similarity of two traces", "lower"],
];

function manner(facts) {
  const measures = facts.measures;
  if (!measures) return section("manner", "Diversity and style", el("p", { class: "lead" }, "Not measured: this build is of an earlier version. Building again adds it, at no cost."));
  const { diversity, style } = measures;
  const habits = Object.entries(style.habits || {}).filter(([, each]) => each.share).sort((one, other) => other[1].share - one[1].share);
  return section("manner", "Diversity and style",
    !diversity.sample && el("p", { class: "lead" }, "No trace was kept, so there is no diversity to measure."),
    el("div", { class: "columns" },
      diversity.sample > 0 && el("div", null,
        table([["measure", ([, what]) => what], ["value", ([name]) => figure(diversity[name]), "number"], ["more diverse", ([, , way]) => way, "words"]], MEASURES,
          { caption: `Diversity, of ${count(diversity.sample)} of ${count(diversity.traces)} traces` }),
        diversity.openings.length > 0 && table([["traces begin", (each) => `“${each.opening}”`], ["share", (each) => meter(each.share)]], diversity.openings)),
      habits.length > 0 && table([
        ["habit", ([name]) => words(name)], ["responses", ([, each]) => percent(each.share), "number"], ["traces", ([, each]) => percent(each.share_of_traces), "number"],
        ["pass rate with", ([, each]) => percent(each.pass_rate_with), "number"], ["without", ([, each]) => percent(each.pass_rate_without), "number"],
      ], habits, { caption: `Style, of ${count(style.sample)} of ${count(style.responses)} judged responses` })),
    (style.by_length || []).length > 1 && chart({
      caption: "Pass rate by length of the response. Where length alone tells what passes, verifiers may reward style, not skill.", label: "Pass rates by length in fifths",
      option: () => bars({ bars: style.by_length.map((each) => ({ name: `${count(each.from)}–${count(each.to)}`, value: each.pass_rate })), x: "characters", y: "pass rate", share: true }),
      table: table([["characters", (each) => `${count(each.from)} to ${count(each.to)}`], ["pass rate", (each) => percent(each.pass_rate), "number"], ["responses", (each) => count(each.responses), "number"]], style.by_length),
    }),
    style.length_alone && el("p", { class: "sub" }, `Length alone guesses acceptance with an area under the curve of ${style.length_alone.auc.toFixed(2)}, and is right for ${percent(style.length_alone.accuracy)} at best, where always saying the same is for ${percent(style.length_alone.base)}.`));
}

function rights(facts) {
  const { licensing = {} } = facts;
  const duplicates = facts.rejections.filter((each) => each.stage === "dedup");
  const teachers = (licensing.teachers || []).filter((each) => each.terms || each.notices.length || each.duties.length);
  return section("rights", "Licences and leaks",
    licensing.license && el("p", { class: "lead" }, `All of it together: ${licensing.license}.`),
    el("div", { class: "columns" },
      facts.licenses.length > 0 && table([
        ["licence", (each) => each.license || "none"], ["training", (each) => each.train_use, "words"], ["generation", (each) => count(each.generation), "number"], ["traces", (each) => count(each.traces), "number"],
      ], facts.licenses, { caption: "Traces by licence" }),
      (licensing.sources || []).length > 0 && table([
        ["source of prompts", (each) => each.source], ["licence", (each) => each.license || "of each row", "words"], ["to be credited", (each) => each.attribution || "–", "words"],
      ], licensing.sources, { caption: "Where prompts come from" }),
      facts.terms.length > 0 && table([
        ["terms", (each) => each.terms || "–"], ["training", (each) => each.train_use, "words"], ["acknowledged by", (each) => each.acknowledgement || "nobody", "words"], ["traces", (each) => count(each.traces), "number"],
      ], facts.terms, { caption: "Terms that bind traces, and who answers for them" }),
      teachers.length > 0 && table([
        ["teacher", (each) => each.name], ["terms", (each) => [each.terms_name || each.terms, each.terms_as_of].filter(Boolean).join(", as of ") || "–", "words"],
        ["duties and notices", (each) => [...each.duties, ...each.notices].map((line) => el("div", null, line)), "words"],
      ], teachers, { caption: "What teachers' terms ask for" }),
      duplicates.length > 0
        ? table([["duplicates", (each) => each.kind || "duplicates"], ["samples", (each) => count(each.slots), "number"]], duplicates, { caption: "Duplicates that were left out" })
        : el("p", { class: "sub" }, "No sample was left out as a duplicate."),
      facts.contamination.length > 0
        ? table([["benchmark", (each) => each.benchmark], ["samples", (each) => count(each.slots), "number"], ["prompts", (each) => count(each.prompts), "number"]], facts.contamination, { caption: "Held-out benchmarks that were found, and left out" })
        : el("p", { class: "sub" }, facts.asked.decontaminate && facts.asked.decontaminate.length ? "Of the held-out benchmarks nothing was found." : "No held-out benchmark was looked for.")));
}

function softLabels(facts) {
  const found = Object.entries(facts.distributions).filter(([, each]) => each.nats !== null);
  if (!found.length) return null;
  return section("soft", "Soft labels",
    table([
      ["distributions", ([name]) => name], ["nats a token", ([, each]) => each.nats.toFixed(4), "number"], ["mass outside", ([, each]) => percent(each.outside, 2), "number"],
      ["tokens", ([, each]) => count(each.tokens), "number"], ["responses", ([, each]) => count(each.responses), "number"],
    ], found, { caption: "How much of a teacher the stored distributions hold" }),
    chart({
      caption: "Mean entropy along a response, in tenths of it; at least, since what is outside counts as one outcome.", label: "Entropy along a response",
      option: () => lines({ series: found.map(([name, each]) => ({ name, points: each.entropy.map((value, tenth) => [tenth + 1, value]) })), x: "tenth of a response", y: "nats", range: { min: 1, max: 10 } }),
      table: table([["distributions", ([name]) => name], ...Array.from({ length: 10 }, (_, tenth) => [String(tenth + 1), ([, each]) => figure(each.entropy[tenth]), "number"])], found),
    }));
}
