// Tables, with bars in their cells where a share is what one compares.

const ROWS = 12;

/** A share as a number and a bar. */
function meter(share) {
  if (share === null || share === undefined) return "–";
  const bar = el("b");
  bar.style.width = `${100 * share}%`;
  return el("div", { class: "meter" }, el("span", null, percent(share)), el("i", { "aria-hidden": "true" }, bar));
}

/**
 * Return a table. `columns` are [heading, cell of a row, "number" or "words" or nothing]; the first is each row's heading.
 * More rows than a screen takes stay behind a button.
 */
function table(columns, rows, { caption, limit = ROWS } = {}) {
  const body = el("tbody");
  const line = (row) => el("tr", null, columns.map(([, cell, kind], place) => el(place ? "td" : "th", { class: kind, scope: place ? null : "row" }, cell(row))));
  const show = (some) => body.append(...some.map(line));
  show(rows.slice(0, limit));
  const left = rows.length - limit;
  const more = left > 0 && el("button", {
    type: "button", class: "more", onclick: () => { show(rows.slice(limit)); more.remove(); },
  }, `Show ${count(left)} more`);
  const head = el("thead", null, el("tr", null, columns.map(([name, , kind]) => el("th", { scope: "col", class: kind }, name))));
  const made = el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption || columns[0][0] }, el("table", null, caption && el("caption", null, caption), head, body));
  return el("div", null, made, more);
}

/** Return a table of what became of slots, by name. */
function outcomes(what, parts, caption) {
  const rows = Object.entries(parts).sort((one, other) => other[1].slots - one[1].slots || (one[0] < other[0] ? -1 : 1));
  return table([
    [what, ([name]) => name],
    ["pass rate", ([, part]) => meter(part.pass_rate)],
    ["responses", ([, part]) => count(part.responses), "number"],
    ["kept", ([, part]) => count(part.kept), "number"],
    ["slots", ([, part]) => count(part.slots), "number"],
  ], rows, { caption });
}

/** Return a list of names and values; what has no value is left out. */
const factList = (facts) => el("dl", { class: "facts" }, facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [el("dt", null, name), el("dd", null, value)]));
