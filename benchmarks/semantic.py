"""Semantic dedup: rate, peak memory, and how much of what was planted is found.

    .venv/bin/python benchmarks/semantic.py 100000

Documents have 200 words of a made-up language in which each word has a synonym that means nearly the same; the model is a real
model2vec model of 256 dimensions. Of the documents, 10% are planted paraphrases of earlier ones, in which up to a fifth of the
words is replaced by synonyms, and 5% are hard negatives, in which more than half is: closer to an earlier one than anything else,
and below the threshold.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from storage.lake import Lake
from storage.schemas import SAMPLES
from storage.workspace import Workspace
from tasks.dedup import held
from tasks.duplicates.embedding import load
from tasks.duplicates.options import SemanticOptions
from tasks.duplicates.semantic import Semantic
from tasks.outcomes import NO_DOUBLE

WORDS = 20_000
LENGTH = 200
DIMENSIONS = 256
THRESHOLD = 0.95
PART = 20_000


def make_model(folder: Path) -> str:
    """Write a model in which word n + WORDS is the synonym of word n."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(WORDS, DIMENSIONS)).astype(np.float32)
    synonyms = vectors + 0.65 * rng.normal(size=vectors.shape).astype(np.float32)
    vocabulary = {"[UNK]": 0} | {f"w{n}": n + 1 for n in range(2 * WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    StaticModel(np.concatenate([np.zeros((1, DIMENSIONS), np.float32), vectors, synonyms]), tokenizer).save_pretrained(folder)
    return str(folder)


def documents(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each document's words, what it is (0: fresh, 1: paraphrase, 2: hard negative), and of which one."""
    rng = np.random.default_rng(1)
    words = rng.integers(0, WORDS, size=(number, LENGTH), dtype=np.uint16)
    kind = rng.choice(3, size=number, p=[0.85, 0.1, 0.05])
    kind[: number // 20] = 0
    fresh = np.flatnonzero(kind == 0)
    origin = np.arange(number)
    for later in np.flatnonzero(kind):
        before = fresh[: np.searchsorted(fresh, later)]
        origin[later] = before[rng.integers(len(before))]
        share = rng.uniform(0.03, 0.2) if kind[later] == 1 else rng.uniform(0.6, 0.8)
        replaced = rng.random(LENGTH) < share
        words[later] = np.where(replaced, words[origin[later]] + WORDS, words[origin[later]])
    return words, kind, origin


def write(lake: Lake, words: np.ndarray) -> None:
    """Write the documents as samples."""
    with lake.writing(print):  # makes the folders
        pass
    names = np.array([f"w{n}" for n in range(2 * WORDS)], dtype=object)
    schema = pa.schema([SAMPLES.field(name) for name in ("sample_id", "response", "reasoning")])
    with pq.ParquetWriter(lake.root / "samples" / "part.parquet", schema, compression="zstd") as writer:
        for begin in range(0, len(words), PART):
            texts = [" ".join(row) for row in names[words[begin : begin + PART]]]
            ids = [f"{n:032x}" for n in range(begin, begin + len(texts))]
            writer.write_table(
                pa.table({"sample_id": ids, "response": texts, "reasoning": pa.nulls(len(ids), pa.string())}, schema)
            )


def clocks() -> np.ndarray:
    """Return seconds by the clock and by the processor."""
    return np.array([time.monotonic(), time.process_time()])


def main() -> int:
    """Make documents, drop duplicates among them, and print what came of it."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder / "model")
        words, kind, origin = documents(number)
        lake = Lake(folder / "lake")
        write(lake, words)
        np.save(folder / "words.npy", words)
        del words
        embedder = load(model, what="model")
        with Workspace(lake, folder / "work") as workspace:
            workspace.make_room(number)
            workspace.execute(
                "CREATE TABLE candidates AS SELECT i AS ord, 0::SMALLINT AS arm, 0 AS sample_index, "
                "printf('%032x', i) AS sample_id, 1.0 AS score, i AS length, NULL::VARCHAR AS stage, NULL::VARCHAR AS reason, "
                f"FALSE AS returned, {NO_DOUBLE} "
                f"FROM range({number}) AS indices(i)"
            )
            held(workspace, (), lake)
            took: list[float] = []

            class Timed(Semantic):
                """Tells the two parts' times apart."""

                def _embed(self, total: int) -> Any:
                    began = clocks()
                    made = super()._embed(total)
                    took.extend(clocks() - began)
                    return made

            Path("/proc/self/clear_refs").write_text("5")  # the peak of what follows, not of what made the documents
            began = clocks()
            options = SemanticOptions(model=model, threshold=THRESHOLD)
            Timed(workspace, options, by="response", within="dataset").drop()
            seconds, processor = clocks() - began
            peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
            rows = workspace.rows("SELECT ord, split_part(reason, ' ', 3) FROM candidates WHERE stage = 'dedup'")
        words = np.load(folder / "words.npy")
    dropped = {later: int(kept, 16) for later, kept in rows}
    table = embedder.model.embedding.astype(np.float64)

    def cosine(one: int, other: int) -> float:
        a, b = (table[words[place] + 1].mean(axis=0) for place in (one, other))
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    planted = [place for place in np.flatnonzero(kind == 1).tolist() if cosine(place, int(origin[place])) >= THRESHOLD]
    negatives = [place for place in np.flatnonzero(kind == 2).tolist() if cosine(place, int(origin[place])) < THRESHOLD]
    hit = sum(place in dropped for place in planted)
    right = sum(cosine(later, kept) >= THRESHOLD - 1e-4 for later, kept in dropped.items())
    print(f"documents            {number:,}, {LENGTH} words each, {DIMENSIONS} dimensions, threshold {THRESHOLD}")
    print(f"recall               {hit / max(1, len(planted)):.4f} ({hit:,} of {len(planted):,} planted paraphrases)")
    print(f"precision            {right / max(1, len(dropped)):.4f} ({len(dropped):,} dropped)")
    wrong = sum(dropped.get(place) == origin[place] for place in negatives)
    print(f"hard negatives       {wrong:,} of {len(negatives):,} dropped against what they are near to")
    for what, whole, part in (("the clock", seconds, took[0]), ("processor time", processor, took[1])):
        rates = f"{number / whole:,.0f}/s: {number / part:,.0f}/s embedding, {number / (whole - part):,.0f}/s searching"
        print(f"by {what:17} {whole:.1f} s, {rates}")
    print(f"peak MB              {int(peak.split()[1]) * 1024 / 1e6:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
