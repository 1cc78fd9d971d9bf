// Charts, drawn as SVG. Tooltips are drawn too (`richText`): the library would make them of markup otherwise.

const drawn = [];

/** Return a figure: a caption, a chart of what `option()` returns, and the same as a table beneath. */
function chart({ caption, label, option, table, tall }) {
  const place = el("div", { class: tall ? "chart tall" : "chart", role: "img", "aria-label": `${label}. The table beneath says the same.` });
  const made = el("figure", null, el("figcaption", null, caption), place, el("details", null, el("summary", null, "As a table"), table));
  drawn.push({ place, option, chart: null });
  return made;
}

/** Draw each chart when it is about to be seen, so that the page is there at once. */
function startCharts() {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const each = drawn.find((one) => one.place === entry.target);
      if (entry.isIntersecting && !each.chart) draw(each);
    }
  }, { rootMargin: "400px" });
  drawn.forEach((each) => seen.observe(each.place));
  const sizes = new ResizeObserver(() => drawn.forEach((each) => {
    if (!each.chart) return;
    each.chart.resize();
    each.chart.setOption(each.option(), true);
  }));
  drawn.forEach((each) => sizes.observe(each.place));
  window.addEventListener("beforeprint", () => drawn.forEach((each) => each.chart || draw(each)));
  whenThemed(() => drawn.forEach((each) => each.chart && each.chart.setOption(each.option(), true)));
}

function draw(each) {
  each.chart = echarts.init(each.place, null, { renderer: "svg" });
  each.chart.setOption(each.option(), true);
  each.place.dataset.drawn = "";
}

const narrow = () => window.innerWidth < 736;

function common() {
  return {
    animation: false,
    textStyle: { fontFamily: "system-ui, sans-serif", color: colour("ink") },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: colour("card"), borderColor: colour("line"),
      textStyle: { color: colour("ink"), fontSize: 13 },
    },
  };
}

const axis = (more) => ({
  axisLine: { lineStyle: { color: colour("line") } }, axisTick: { show: false }, axisLabel: { color: colour("soft"), hideOverlap: true },
  splitLine: { lineStyle: { color: colour("line"), opacity: 0.6 } }, nameTextStyle: { color: colour("soft") }, ...more,
});

const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7a6fd0"];

/** Return an option of lines over numbers: `series` have a name and [x, y] points. */
function lines({ series, x, y, range, share }) {
  return {
    ...common(),
    color: LINES,
    legend: { show: series.length > 1, bottom: 0, type: "plain", textStyle: { color: colour("ink") }, icon: "roundRect", itemHeight: 3 },
    grid: { left: 56, right: 16, top: 28, bottom: series.length > 1 ? 64 : 44 },
    xAxis: axis({ type: "value", name: x, nameLocation: "middle", nameGap: 26, minInterval: 1, ...range }),
    yAxis: axis({ type: "value", name: y, nameTextStyle: { color: colour("soft"), align: "left", padding: [0, 0, 0, -40] }, ...(share ? { min: 0, max: 1, axisLabel: { color: colour("soft"), formatter: (value) => `${Math.round(100 * value)} %` } } : {}) }),
    series: series.map((each) => ({ name: each.name, type: "line", data: each.points, symbolSize: 6, lineStyle: { width: 2 } })),
  };
}

/** Return an option of bars: `bars` have a name and a value. */
function bars({ bars: given, x, y, share }) {
  return {
    ...common(),
    grid: { left: 60, right: 16, top: 28, bottom: 48 },
    xAxis: axis({ type: "category", data: given.map((each) => each.name), name: x, nameLocation: "middle", nameGap: 30 }),
    yAxis: axis({ type: "value", name: y, nameTextStyle: { color: colour("soft"), align: "left", padding: [0, 0, 0, -40] }, ...(share ? { min: 0, max: 1, axisLabel: { color: colour("soft"), formatter: (value) => `${Math.round(100 * value)} %` } } : {}) }),
    series: [{ type: "bar", data: given.map((each) => each.value), itemStyle: { color: colour("bar") }, barCategoryGap: "12%" }],
  };
}

const FILLS = { "not sent": "rejected-fill", failed: "failed-fill", "no response": "failed-fill", kept: "kept-fill", accepted: "kept-fill" };
const fillOf = (name) => FILLS[name] || (name.startsWith("rejected") ? "rejected-fill" : name.startsWith("failed:") ? "failed-fill" : "bar");

/** Return the flows that a narrow screen has room for: without where responses come from, and without reasons. */
function fewer(flows) {
  const begins = flows[0].source;
  const origins = new Set(["bought by this run", "in the store"]);
  const ends = (name) => name.startsWith("rejected") || name === "no response";
  const sums = new Map();
  for (const { source, target, slots } of flows) {
    if (origins.has(target) || ends(source) || source === "failed") continue;
    const from = origins.has(source) ? begins : source;
    sums.set(`${from}\n${target}`, (sums.get(`${from}\n${target}`) || 0) + slots);
  }
  return [...sums].map(([pair, slots]) => {
    const [source, target] = pair.split("\n");
    return { source, target, slots };
  });
}

/** Return an option of flows: `flows` have source, target and slots. */
function sankey(all) {
  const small = narrow();
  const flows = small ? fewer(all) : all;
  const sums = new Map();
  for (const flow of flows) {
    sums.set(flow.target, (sums.get(flow.target) || 0) + flow.slots);
    if (flow.source === all[0].source) sums.set(flow.source, (sums.get(flow.source) || 0) + flow.slots);
  }
  const short = (name) => name.replace(/^rejected: (\w+): /, "").replace(/^failed: /, "").replace(small ? /^rejected: / : /^$/, "");
  const cut = (text) => (text.length > 30 ? `${text.slice(0, 29)}…` : text);
  return {
    ...common(),
    series: [{
      type: "sankey", left: 4, right: small ? 84 : 190, top: 8, bottom: 8, nodeWidth: small ? 8 : 12, nodeGap: small ? 22 : 14, nodeAlign: "left", draggable: false,
      layoutIterations: 64, emphasis: { focus: "adjacency" },
      label: {
        color: colour("ink"), fontSize: small ? 11 : 12, lineHeight: 14, textBorderColor: colour("paper"), textBorderWidth: 2,
        formatter: ({ name }) => `${cut(short(name))}${small ? "\n" : " "}${count(sums.get(name))}`,
      },
      lineStyle: { color: "target", opacity: 0.28, curveness: 0.5 },
      data: [...sums.keys()].map((name) => ({ name, itemStyle: { color: colour(fillOf(name)), borderWidth: 0 } })),
      links: flows.map((flow) => ({ source: flow.source, target: flow.target, value: flow.slots })),
    }],
  };
}
