// Search: chunk after chunk is unpacked and looked through, with a breath between, so that the page stays quick meanwhile.

const TEXTS = ["response", "reasoning", "reason"];

/**
 * Look for a text in the prompts that have a sample in `matched`, and call `found(prompt, samples)` for each that has it, in
 * order. `samples` are those of its samples in `matched` with whose texts it stands: all of them where it stands in the prompt.
 */
async function search(store, text, matched, { found, progress, signal }) {
  const needle = text.toLowerCase();
  const asEmbedded = JSON.stringify(needle).slice(1, -1);
  const chunks = await store.chunks();
  for (let number = 0; number < chunks.length; number += 1) {
    const raw = await store.raw(number);
    if (signal.aborted) return;
    // Most chunks haven't a rare word at all: only those that have it are parsed.
    if (raw.toLowerCase().includes(asEmbedded)) look(store, JSON.parse(raw), chunks[number].first, needle, matched, found);
    progress((number + 1) / chunks.length);
    await breathe();
    if (signal.aborted) return;
  }
}

function look(store, entries, first, needle, matched, found) {
  entries.forEach((entry, offset) => {
    const prompt = first + offset;
    const [begin] = store.range(prompt);
    const wanted = entry.samples.map((_, number) => begin + number).filter((sample) => matched[sample]);
    if (!wanted.length) return;
    const has = (value) => value !== undefined && value !== null && textOf(value).toLowerCase().includes(needle);
    const inPrompt = has(entry.prompt) || has(entry.reference) || has(store.id[prompt]);
    const hits = inPrompt ? wanted : wanted.filter((sample) => {
      const told = entry.samples[sample - begin];
      return TEXTS.some((name) => has(told[name])) || (told.verdicts || []).some((verdict) => has(verdict[3]));
    });
    if (hits.length) found(prompt, hits);
  });
}
