// What comes from prompts and teachers reaches the page as text nodes alone: nothing here makes markup of a string.

/** Make an element. Properties beginning with "on" are listeners; null and false leave a property or a child out. */
function el(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en-GB");
const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`);
const figure = (value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(3)).toLocaleString("en-GB"));

/** Return USD with as many places as say something. */
function dollars(value) {
  if (value === null || value === undefined) return "–";
  const places = value !== 0 && Math.abs(value) < 0.01 ? 6 : value < 100 ? 4 : 2;
  return `$${value.toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: places })}`;
}

const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
const sentenceCase = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const words = (name) => name.replaceAll("_", " ");

/** Let the browser paint and take input before going on. */
const breathe = () => new Promise((resolve) => { const channel = new MessageChannel(); channel.port1.onmessage = resolve; channel.port2.postMessage(0); });
