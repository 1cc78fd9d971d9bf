// Light, dark, or as the system has it; a choice is remembered where the browser lets a file do so.

const system = window.matchMedia("(prefers-color-scheme: dark)");
const themed = [];
let theme = "auto";

function remembered() {
  try { return localStorage.getItem("stillhouse-theme") || "auto"; } catch { return "auto"; }
}

/** Call `draw` now and whenever the colours change. */
function whenThemed(draw) {
  themed.push(draw);
  draw();
}

function applyTheme() {
  document.documentElement.dataset.theme = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
  const button = byId("theme");
  button.replaceChildren(el("span", null, "Theme: "), theme);
  button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
  themed.forEach((draw) => draw());
}

function startTheme() {
  theme = remembered();
  byId("theme").addEventListener("click", () => {
    theme = { auto: "light", light: "dark", dark: "auto" }[theme];
    try { localStorage.setItem("stillhouse-theme", theme); } catch { /* a file may not be allowed to remember */ }
    applyTheme();
  });
  system.addEventListener("change", applyTheme);
  applyTheme();
}

/** Return a colour of the style sheet. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
