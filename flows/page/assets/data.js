// What is packed into the page: an index of the embedded samples, and chunks of their texts, unpacked when somebody wants them.

const decoder = new TextDecoder();

/** Return the text that was deflated into base64 (`flows.page.embed.packed`). */
async function unpacked(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return decoder.decode(await new Response(stream).arrayBuffer());
}

class Store {
  constructor(index) {
    Object.assign(this, index);
    this.prompts = index.id.length;
    this.samples = index.teacher.length;
    this.cache = new Map();
  }

  /** Return the numbers of a prompt's first sample and of the one behind its last. */
  range(prompt) {
    return [this.first[prompt], prompt + 1 < this.prompts ? this.first[prompt + 1] : this.samples];
  }

  /** The chunks, once the browser has read all of the page. */
  chunks() {
    this.elements ||= loaded().then(() => [...document.querySelectorAll("script.texts")].map((element) => ({ element, first: Number(element.dataset.first) })));
    return this.elements;
  }

  /** Return a prompt's texts. */
  async texts(prompt) {
    const chunks = await this.chunks();
    let low = 0;
    for (let high = chunks.length - 1; low < high;) {
      const middle = Math.ceil((low + high) / 2);
      if (chunks[middle].first <= prompt) low = middle; else high = middle - 1;
    }
    const entries = await this.entries(low);
    return entries[prompt - chunks[low].first];
  }

  /** Return a chunk's texts by prompt. The latest few are kept. */
  async entries(number) {
    const found = this.cache.get(number) || JSON.parse(await this.raw(number));
    this.cache.delete(number);
    this.cache.set(number, found);
    if (this.cache.size > 4) this.cache.delete(this.cache.keys().next().value);
    return found;
  }

  async raw(number) {
    return unpacked((await this.chunks())[number].element.textContent);
  }
}

const loaded = () => (document.readyState === "loading" ? new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true })) : Promise.resolve());

/** A text as it is embedded is a string or, where it was cut, its beginning and the number of characters left out. */
const textOf = (text) => (Array.isArray(text) ? text[0] : text || "");
