// The report's sections, each a function of the facts that returns an element, or nothing where there is nothing to say.

const section = (id, title, ...children) => el("section", { id, "aria-labelledby": `${id}-heading` }, el("h2", { id: `${id}-heading` }, title), children);
const tile = (name, value, under) => el("div", { class: "tile" }, el("dt", null, name), el("dd", null, value, under && el("small", null, under)));

function summary(facts) {
  const rejected = Object.values(facts.rejected).reduce((sum, each) => sum + each, 0);
  const totals = Object.values(facts.by_teacher).reduce((sum, each) => [sum[0] + each.responses, sum[1] + each.accepted], [0, 0]);
  const spent = Object.values(facts.spent);
  const cost = spent.some((each) => each.priced) ? spent.reduce((sum, each) => sum + (each.cost_usd || 0), 0) : null;
  return el("div", { id: "summary" },
    el("h1", null, facts.dataset),
    el("p", { class: "lead" }, "Build ", el("span", { class: "mono" }, facts.build_id), ` landed ${new Date(facts.created_at).toISOString().slice(0, 16).replace("T", " ")} UTC, by stillhouse ${facts.version}, in ${count(Math.round(facts.elapsed_s))} s.`),
    el("dl", { class: "tiles" },
      tile("Prompts", count(facts.prompts)),
      tile("Samples asked for", count(facts.requested), `${count(facts.reused)} in the store, ${count(facts.paid)} paid`),
      tile("Kept", count(facts.kept), facts.requested ? `${percent(facts.kept / facts.requested)} of what was asked for` : null),
      tile("Rejected", count(rejected), facts.requested ? percent(rejected / facts.requested) : null),
      tile("Failed", count(facts.failed), facts.requested ? percent(facts.failed / facts.requested) : null),
      tile("Pass rate", totals[0] ? percent(totals[1] / totals[0]) : "–", "of responses"),
      tile("Cost", dollars(cost), `of its samples; ${dollars(facts.cost_usd)} by this run`),
      tile("A trace costs", facts.kept && cost !== null ? dollars(cost / facts.kept) : "–"),
    ),
    (facts.warnings || []).map((warning) => el("p", { class: "note warn" }, `Warning: ${warning}`)),
    facts.length_guesses && el("p", { class: "note warn" }, el("strong", null, "Style, not skill? "), sentenceCase(facts.length_guesses)),
    facts.saved && el("p", { class: "note" }, `Spared: ${plural(facts.saved.samples, "sample")}, ${dollars(facts.saved.usd)}, against ${facts.saved.basis}.`),
    asked(facts));
}

function asked(facts) {
  const spec = facts.asked;
  const sampling = Object.entries(spec.sampling || {}).map(([name, value]) => `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
  return el("div", null,
    el("h2", { class: "minor" }, "What was asked"),
    factList([
      ["Teachers", (spec.teachers || []).map((each) => el("div", null, `${each.name}: ${each.model || each.path || ""} (${[each.provider, each.license].filter(Boolean).join(", ")})`))],
      ["Prompts from", (spec.prompts || []).map((each) => el("div", null, `${each.source}${each.license ? ` (${each.license})` : ""}`))],
      ["Sampling", sampling || "one sample of each prompt"],
      ["Verified by", (spec.verify || []).map((each) => each.use).join(", ") || "nobody: every response counts as accepted"],
      ["System text", spec.template && spec.template.system],
    ]),
    grown(facts),
    el("details", null, el("summary", null, "These parts of the spec, whole"), el("pre", { class: "spec" }, JSON.stringify(spec, null, 2))));
}

const grown = (facts) => facts.grown && facts.grown.length > 0 && el("div", null, el("h3", null, "Prompts that were grown"), table(
  [["source", (each) => each.source], ...Object.keys(facts.grown[0]).filter((name) => typeof facts.grown[0][name] === "number").map((name) => [words(name), (each) => count(each[name]), "number"])], facts.grown));

function course(facts) {
  if (!facts.course.length) return null;
  return section("outcomes", "Outcomes",
    el("p", { class: "lead" }, "Every sample that was asked for ends as kept, rejected or failed. ", `${count(facts.kept)} + ${count(Object.values(facts.rejected).reduce((sum, each) => sum + each, 0))} + ${count(facts.failed)} = ${count(facts.requested)}.`),
    chart({
      caption: "From what was asked for to what became of it. The widths are numbers of samples.", label: "Flows of samples from what was asked for to kept, rejected and failed",
      option: () => sankey(facts.course), tall: true,
      table: table([["from", (each) => each.source], ["to", (each) => each.target, "words"], ["samples", (each) => count(each.slots), "number"]], facts.course, { limit: 40 }),
    }),
    facts.rejections.length > 0 && el("div", null, el("h3", null, "Why the others were not kept"), table([
      ["reason", (each) => each.kind || "none given"], ["ended as", (each) => `${each.outcome} at ${each.stage}`, "words"],
      ["share", (each) => meter(each.slots / facts.requested)], ["samples", (each) => count(each.slots), "number"],
    ], facts.rejections)));
}

function rates(facts) {
  const verifiers = Object.entries(facts.by_verifier);
  const tags = Object.entries(facts.by_tag);
  return section("rates", "Pass rates",
    el("p", { class: "lead" }, "Of the responses, how many the verifiers accepted. What was rejected later, as a duplicate or by its licence, counts as accepted here."),
    el("div", { class: "columns" },
      outcomes("teacher", facts.by_teacher, "By teacher"),
      verifiers.length > 0 && table([
        ["verifier", ([name]) => name], ["passed, of those it decided", ([, each]) => meter(each.pass_rate)],
        ["passed", ([, each]) => count(each.passed), "number"], ["failed", ([, each]) => count(each.failed), "number"], ["undecided", ([, each]) => count(each.undecided), "number"],
      ], verifiers, { caption: "By verifier" }),
      Object.keys(facts.by_strategy).length > 0 && outcomes("strategy", facts.by_strategy, "By strategy"),
      outcomes("source", facts.by_source, "By source of prompts"),
      tags.map(([tag, values]) => outcomes(tag, values, `By tag: ${tag}`)),
      Object.entries(facts.by_tag_and_strategy).map(([tag, values]) => crossed(tag, values))),
    curves(facts));
}

/** Pass rates by a tag's values and strategy. */
function crossed(tag, values) {
  const names = [...new Set(Object.values(values).flatMap(Object.keys))];
  return table([[tag, ([value]) => value], ...names.map((name) => [name, ([, parts]) => (parts[name] ? percent(parts[name].pass_rate) : "–"), "number"])],
    Object.entries(values), { caption: `By tag and strategy: ${tag}` });
}

function curves(facts) {
  const found = facts.pass_at.curves.filter((each) => each.points.length > 1);
  if (!found.length) return null;
  const name = (each) => (each.strategy ? `${each.teacher}, ${each.strategy}` : each.teacher);
  const how = facts.pass_at.adaptive
    ? "Drawing stopped at a success here, so this counts prompts one of whose first k responses was accepted."
    : "The unbiased estimate (Chen et al. 2021) from all samples of each prompt that has as many.";
  return chart({
    caption: `pass@k: the chance that of k samples of a prompt at least one is accepted. ${how}`, label: "Curves of pass at k",
    option: () => lines({ series: found.map((each) => ({ name: name(each), points: each.points.map((point) => [point.k, point.value]) })), x: "k", y: "pass@k", share: true, range: { min: 1 } }),
    table: table([
      ["teacher", ([each]) => name(each)], ["k", ([, point]) => point.k, "number"], ["pass@k", ([, point]) => percent(point.value), "number"],
      ["95 % interval", ([, point]) => `${percent(point.low)} to ${percent(point.high)}`, "number"], ["prompts", ([, point]) => count(point.prompts), "number"],
    ], found.flatMap((each) => each.points.map((point) => [each, point])), { limit: 16 }),
  });
}

function costs(facts) {
  const spent = Object.entries(facts.spent);
  const parts = Object.entries(facts.lengths).filter(([, each]) => each.sum);
  return section("cost", "Cost and length",
    spent.length > 0 && table([
      ["teacher", ([name]) => name], ["responses", ([, each]) => count(each.samples), "number"], ["tokens in", ([, each]) => count(each.tokens_in), "number"],
      ["tokens out", ([, each]) => count(each.tokens_out), "number"], ["of these reasoning", ([, each]) => count(each.tokens_reasoning), "number"],
      ["cost", ([, each]) => (each.priced ? dollars(each.cost_usd) : "price unknown"), "number"],
    ], spent, { caption: "What this build's responses took, whichever run bought them" }),
    facts.histogram.length > 0 && chart({
      caption: "Traces by length, in completion tokens.", label: "A histogram of traces by completion tokens",
      option: () => bars({ bars: facts.histogram.map((each) => ({ name: each.from === each.to ? count(each.from) : `${count(each.from)}–${count(each.to)}`, value: each.traces })), x: "completion tokens", y: "traces" }),
      table: table([["completion tokens", (each) => `${count(each.from)} to ${count(each.to)}`], ["traces", (each) => count(each.traces), "number"]], facts.histogram, { limit: 30 }),
    }),
    parts.length > 0 && table([
      ["traces", ([name]) => words(name)], ...Object.keys(parts[0][1].quantiles).map((part) => [{ "0%": "shortest", "50%": "median", "100%": "longest" }[part] || part, ([, each]) => count(each.quantiles[part]), "number"]),
      ["in all", ([, each]) => count(each.sum), "number"],
    ], parts, { caption: "Lengths of traces, by parts of them" }));
}
