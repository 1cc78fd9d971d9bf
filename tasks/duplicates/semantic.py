"""Semantic duplicates over a whole dataset: texts whose embeddings point almost the same way (SemDeDup: Abbas et al. 2023).

Vectors lie in a file of the workspace, 2 bytes a dimension. What is in memory is numbers: a row's number is its place in the
order in which samples are preferred, those that other datasets hold before all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from storage.workspace import JOIN_BYTES, Workspace
from tasks.duplicates.cells import Cells, by_key, by_means
from tasks.duplicates.digests import TEXT
from tasks.duplicates.embedding import load
from tasks.duplicates.greedy import KEPT, Pairs, greedy, most_similar
from tasks.duplicates.leaders import checked, similar_pairs
from tasks.duplicates.options import ORDER, SemanticOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 500
"""Texts that are embedded at a time."""
SCALE = 32_767
"""Of a vector's coordinates, which are kept as whole numbers of 16 bits: evenly spread, where half precision isn't, and with
products that are the same on any machine."""
_COPIED = 10_000
"""Vectors that are copied at a time."""
_BEFORE = """
    SELECT number, min(place) AS place FROM semantic_rows AS mine JOIN semantic_before AS theirs
        ON mine.sample_id = theirs.sample_id AND mine.source IS NOT DISTINCT FROM theirs.source
    GROUP BY number
"""
"""The rows that were embedded before, and where."""
ACROSS = 3
"""Rounds in which those that stand for others are compared in cells of their own, and times within each."""
ROUNDS = 16
"""Of searching, at most. Beyond it some duplicates may both stay; who is dropped duplicates a kept one in any case."""


class Semantic:
    """One search, which may be made again where samples came back: a text is embedded once."""

    def __init__(
        self,
        workspace: Workspace,
        options: SemanticOptions,
        *,
        by: Literal["response", "prompt", "both"],
        within: Literal["dataset", "prompt"],
    ) -> None:
        """Load the model. Raise SetupError where it can't be had."""
        self._workspace = workspace
        self._embedder = load(options.model, what="dedup.semantic.model")
        self._threshold = options.threshold
        self._alone = by == "both" or within == "prompt"
        self._vectors: NDArray[np.int16] | None = None
        self._rounds = 0

    def drop(self) -> None:
        """Reject what says the same as a kept one among the `candidates` still in; `held` must be there."""
        workspace = self._workspace
        workspace.make_room(workspace.rows("SELECT count(*) FROM candidates")[0][0], each=JOIN_BYTES)
        total, settled = _rows(workspace, alone=self._alone)
        vectors = self._embed(total)
        known = np.flatnonzero(_filled(vectors))
        if self._alone:
            keys = workspace.table("SELECT number, prompt FROM semantic_rows ORDER BY number")["prompt"].to_numpy()
            cells = by_key(keys, known)
        else:
            cells = by_means(vectors, known)
        _reject(workspace, search(vectors, cells, self._threshold, settled=settled, across=not self._alone))
        workspace.execute(
            "CREATE OR REPLACE TABLE semantic_before AS SELECT number AS place, source, sample_id FROM semantic_rows"
        )
        workspace.execute("DROP TABLE semantic_rows")
        self._vectors = vectors

    def close(self) -> None:
        """Forget what was embedded."""
        self._workspace.execute("DROP TABLE IF EXISTS semantic_before")

    def _embed(self, total: int) -> NDArray[np.int16]:
        """Return the rows' vectors, as a file in the workspace."""
        self._rounds += 1
        path = self._workspace.folder / f"vectors{self._rounds % 2}.i16"
        if not total:
            return np.zeros((0, self._embedder.dim), np.int16)
        path.unlink(missing_ok=True)
        vectors: Any = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=(total, self._embedder.dim))
        if self._vectors is not None:
            for batch in self._workspace.stream(_BEFORE, rows=_COPIED):
                vectors[batch["number"].to_numpy()] = self._vectors[batch["place"].to_numpy()]
        seen = np.zeros(total, np.uint64)
        for numbers, texts in _texts(self._workspace, again=self._vectors is not None):
            # Lakes may be merged by hand, so a sample may stand there twice: whatever is read first, the same one counts.
            marks = np.array([_mark(text) for text in texts], np.uint64)
            made = np.rint(self._embedder.embed(texts) * SCALE).astype(np.int16)
            for place, number in enumerate(numbers):
                if marks[place] > seen[number]:
                    seen[number] = marks[place]
                    vectors[number] = made[place]
        return vectors  # type: ignore[no-any-return]


def search(vectors: NDArray[np.int16], cells: Cells, threshold: float, *, settled: int = 0, across: bool = False) -> Pairs:
    """Return for each dropped vector the kept one that it is most similar to.

    In each cell one that is similar to an earlier one that stays there is compared no further. Where that earlier one turns out
    to be dropped itself, because of another cell, those that it stood for are compared with the one that dropped it, and then
    again in their cells. With `across`, those that stand for others are compared in cells of their own too, since of a great many
    texts that are all alike each cell keeps one.
    """
    total = len(vectors)
    pairs = Pairs.of([])
    state = np.zeros(total, np.uint8)
    due = np.arange(len(cells.starts))
    for turn in range(ROUNDS):
        found = [pairs, _searched(vectors, cells, due, state, threshold, settled=settled)]
        more = Pairs.of(found).sorted()
        if across and turn < ACROSS:
            more = _crossed(vectors, more, threshold, settled=settled)
        more = _inherited(vectors, more, threshold)
        state = greedy(more, total)
        freed = _freed(more, state)
        if len(more.later) == len(pairs.later) or not freed.any():
            return most_similar(more, state)
        pairs = more
        due = cells.holding(freed)
    return most_similar(pairs, greedy(pairs, total))


def _crossed(vectors: NDArray[np.int16], pairs: Pairs, threshold: float, *, settled: int) -> Pairs:
    """Return the pairs, and those that kept ones of different cells make."""
    for _ in range(ACROSS):
        state = greedy(pairs, len(vectors))
        named = np.concatenate((pairs.earlier, pairs.later))
        heads = by_means(vectors, np.unique(named[state[named] == KEPT]))
        new = _searched(vectors, heads, np.arange(len(heads.starts)), state, threshold, settled=settled)
        if not len(new.later):
            break
        pairs = Pairs.of([pairs, new]).sorted()
    return pairs


def _searched(
    vectors: NDArray[np.int16],
    cells: Cells,
    due: NDArray[np.int64],
    state: NDArray[np.uint8],
    threshold: float,
    *,
    settled: int,
) -> Pairs:
    """Return the pairs that some cells' kept ones make."""
    found = []
    for cell in due.tolist():
        members = cells.members(cell)
        members = members[(state[members] == KEPT) | (members < settled)]
        if len(members) > 1 and members[-1] >= settled:
            found.append(similar_pairs(vectors, members, threshold, settled=settled))
    return Pairs.of(found)


def _freed(pairs: Pairs, state: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return those that a cell left to an earlier one, and that are kept all the same, since that one isn't."""
    paired = np.zeros(len(state), np.bool_)
    paired[pairs.later] = True
    paired &= state == KEPT
    return paired


def _inherited(vectors: NDArray[np.int16], pairs: Pairs, threshold: float) -> Pairs:
    """Return the pairs, and those of the freed with whom the one that they were left to is a duplicate of."""
    for _ in range(ROUNDS):
        state = greedy(pairs, len(vectors))
        heir = np.full(len(vectors), -1)
        best = most_similar(pairs, state)
        heir[best.later] = best.earlier
        mine = _freed(pairs, state)[pairs.later] & (heir[pairs.earlier] >= 0)
        new = checked(vectors, pairs.later[mine], heir[pairs.earlier[mine]], threshold)
        if not len(new.later):
            break
        pairs = Pairs.of([pairs, new]).sorted()
    return pairs


def _rows(workspace: Workspace, *, alone: bool) -> tuple[int, int]:
    """Make `semantic_rows`: what is compared, in order. Return how many there are, and how many are there to stay."""
    mine, theirs, joined = ("prompt_digest", "sha256(prompt)", "JOIN prompt_ids USING (ord)") if alone else ("''", "''", "")
    number = "dense_rank() OVER (ORDER BY asked)" if alone else "0"
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE semantic_rows AS
        SELECT row_number() OVER (ORDER BY source NULLS LAST, {ORDER}) - 1 AS number, source, dataset, ord, arm, sample_index,
            sample_id, returned, {number} AS prompt
        FROM (
            SELECT NULL::INTEGER AS source, NULL::VARCHAR AS dataset, returned, score, length, rights, ord, arm, sample_index,
                sample_id, {mine} AS asked
            FROM candidates {joined} WHERE stage IS NULL
            UNION ALL
            SELECT source, dataset, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, sample_id, {theirs} FROM held
        )
        """
    )
    counts = "count(*), count(*) FILTER (source IS NULL AND returned), count(source)"
    ((total, came_back, settled),) = workspace.rows(f"SELECT {counts} FROM semantic_rows")
    return total, total - came_back if came_back else settled


def _texts(workspace: Workspace, *, again: bool) -> Iterator[tuple[list[int], list[str]]]:
    """Yield numbers and texts of the rows: of those alone that weren't embedded before, where it is done `again`."""
    rows = f"(FROM semantic_rows WHERE number NOT IN (SELECT number FROM ({_BEFORE})))" if again else "semantic_rows"
    mine = f"SELECT number, {TEXT} AS said FROM samples JOIN (FROM {rows} WHERE source IS NULL) USING (sample_id)"
    theirs = f"SELECT number, {TEXT} AS said FROM held JOIN {rows} AS rows USING (source, sample_id)"
    for query in (mine, theirs):
        for batch in workspace.stream(query, rows=BATCH):
            yield batch["number"].to_pylist(), batch["said"].to_pylist()


def _mark(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) | 1


def _filled(vectors: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Return which vectors have a direction: a text in which the model knows no word is like no other."""
    found = np.zeros(len(vectors), np.bool_)
    for begin in range(0, len(vectors), 65_536):
        found[begin : begin + 65_536] = vectors[begin : begin + 65_536].any(axis=1)
    return found


def _reject(workspace: Workspace, dropped: Pairs) -> None:
    """Set stage and reason of what is dropped."""
    table = pa.table({"number": dropped.later, "kept": dropped.earlier, "cosine": dropped.similarity})
    workspace.load("semantic_dropped", table)
    workspace.execute(
        """
        UPDATE candidates SET stage = 'dedup', reason = said, kept_ord = rejected.kept_ord,
            kept_arm = rejected.kept_arm, kept_index = rejected.kept_index
        FROM (
            SELECT mine.ord, mine.arm, mine.sample_index, theirs.ord AS kept_ord, theirs.arm AS kept_arm,
                theirs.sample_index AS kept_index, 'semantically duplicates '
                || concat_ws(' of ', theirs.sample_id, theirs.dataset) || printf(' (cosine %.3f)', cosine) AS said
            FROM semantic_dropped JOIN semantic_rows AS mine USING (number)
            JOIN semantic_rows AS theirs ON theirs.number = kept
        ) AS rejected
        WHERE stage IS NULL AND candidates.ord = rejected.ord AND candidates.arm = rejected.arm
            AND candidates.sample_index = rejected.sample_index
        """
    )
    workspace.execute("DROP TABLE semantic_dropped")
