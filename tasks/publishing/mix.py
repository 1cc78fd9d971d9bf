"""Mix: data that people wrote, at a stated share of an export, against collapse (Shumailov et al. 2024).

A source is read twice: first only the hashes of its rows are kept, 8 bytes each, to choose as many as the share wants; then the
chosen ones stand evenly between the traces. Which ones they are depends on the seed and the rows' content, not on their order.
Where the build was decontaminated, two more readings leave out the rows that have held-out items in them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.errors import SourceError, SpecError
from storage.identity import address
from storage.schemas import TRACES
from storage.wording import counted
from tasks.decontaminate import Decontamination, prompt_texts, response_texts
from tasks.duplicates.digests import numbers
from tasks.heldout.blocks import Text
from tasks.heldout.matching import Matching
from tasks.license import Licensed, effective, parse
from tasks.publishing.mix_sources import MixSource, hash_of, read
from tasks.publishing.written import Written, short
from tasks.sources import Found
from tasks.sources.shown import shown

MIXED = "train"
"""The only split that is mixed into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixFacts:
    """What came of one source, for the export's manifest."""

    source: str
    """As the spec names it."""
    license: str
    """SPDX expression."""
    attribution: str
    """Who is credited for it."""
    share: float
    """That was asked for."""
    reached: float
    """Of the rows; less than `share` where the source has too few, or the form left some out."""
    rows: int
    """That stand in the export."""
    available: int
    """Different rows that the source has and that may be taken."""
    contaminated: int
    """Different rows that were left out, for a held-out item in them."""
    held_back: int
    """Different rows that were left out, since their prompt stands in another split."""
    repeated: int
    """Different rows that were left out, since an earlier source has them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    options: MixSource
    license: str
    available: int
    contaminated: int
    held_back: int
    repeated: int
    rows: int
    hashes: array[int]
    given: array[int] = field(default_factory=lambda: array("Q"))
    written: int | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """What to mix into the traces of one split, chosen and counted."""

    traces: int
    """That will be mixed into."""
    seed: int
    """The spec's."""
    chosen: tuple[_Chosen, ...]
    """By source."""
    lost: bool = False
    """Whether the form in which they are written left out all of the split."""
    written: int = 0
    """Conversations in the export's rows; 0 where nobody counted."""

    def exported(self, written: Written) -> Mix:
        """Return what is said of the rows that were written."""
        if not written.rows:
            return self
        people = np.frombuffer(written.people, np.uint64) if written.people else np.zeros(0, np.uint64)
        counted = [int(np.isin(people, _different(each.given)).sum()) for each in self.chosen]
        chosen = tuple(replace(each, written=number) for each, number in zip(self.chosen, counted, strict=True))
        return replace(self, chosen=chosen, written=written.rows)

    def undone(self) -> Mix:
        """Return what is said where nothing of the split was left."""
        return replace(self, chosen=tuple(replace(each, rows=0) for each in self.chosen), lost=True)

    @property
    def rows(self) -> int:
        """Return how many rows are added."""
        return sum(each.rows for each in self.chosen)

    def facts(self) -> list[MixFacts]:
        """Return what came of each source."""
        whole = self.written or max(1, self.traces + self.rows)
        rows = [each.rows if each.written is None else each.written for each in self.chosen]
        return [
            MixFacts(
                source=each.options.source,
                license=each.license,
                attribution=each.options.attribution or each.options.source,
                share=each.options.share,
                reached=round(number / whole, 6),
                rows=number,
                available=each.available,
                contaminated=each.contaminated,
                held_back=each.held_back,
                repeated=each.repeated,
            )
            for each, number in zip(self.chosen, rows, strict=True)
        ]

    def lines(self) -> list[str]:
        """Return a line for each source that has too few rows, or some with held-out items in them."""
        facts = self.facts()
        found = [
            f"mix: {counted(each.contaminated, 'row')} of {shown(each.source)} left out, with items of held-out benchmarks"
            for each in facts
            if each.contaminated
        ]
        found += [
            f"mix: {counted(each.held_back, 'row')} of {shown(each.source)} left out, with the prompt of a trace in another split"
            for each in facts
            if each.held_back
        ]
        found += [
            f"mix: {counted(each.repeated, 'row')} of {shown(each.source)} left out, which an earlier source has"
            for each in facts
            if each.repeated
        ]
        if facts and (self.lost or not self.traces):
            why = "nothing is left of" if self.lost else "there is no trace in"
            return [*found, f"mix: nothing is mixed in, since {why} the split {MIXED!r}"]
        found += [
            f"mix: {shown(each.source)}: {each.share:.2%} beside {counted(self.traces, 'trace')} is no row, and none is mixed in"
            for each in facts
            if not each.rows and each.available
        ]
        return found + [
            f"mix: {shown(each.source)} has only {counted(each.available, 'different row')}, so its share is "
            f"{each.reached:.1%} and not {each.share:.1%}"
            for each in facts
            if each.rows == each.available and each.reached < each.share - 0.5 / max(1, self.traces + self.rows)
        ]

    def mixed(self, traces: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield the traces in their order and, evenly between those of the split, the chosen rows in their source's order."""
        sources = [_taken(each, self.seed) for each in self.chosen]
        given = [0] * len(sources)
        seen = 0
        for trace in traces:
            yield trace
            if (trace["split"] or MIXED) != MIXED:
                continue
            seen += 1
            for number, each in enumerate(self.chosen):
                for _ in range(each.rows * seen // self.traces - given[number]):
                    found = next(sources[number], None)
                    if found is None:
                        raise SourceError(f"{shown(each.options.source)}: has changed while it was read; export again")
                    # A chat template may write a day; a row whose author has none gets that of the trace before it.
                    same = {name: trace[name] for name in ("dataset", "build_id", "created_at")}
                    row = _row(found, each) | same
                    each.given.append(short(row["sample_id"]))
                    yield row
                    given[number] += 1
        if seen != self.traces or given != [each.rows for each in self.chosen]:
            raise AssertionError(f"{seen} traces were mixed into, and {self.traces} were promised")


def plan(
    options: Sequence[MixSource],
    *,
    traces: int,
    seed: int,
    heldout: Decontamination | None = None,
    elsewhere: Collection[int] = frozenset(),
) -> Mix:
    """Choose what to mix into so many traces, without what is held out. `elsewhere`: the `numbers` of what other splits ask.

    Raise SourceError where a row can't be read or has no response. Where a source has too few rows all of them are taken, and the
    others keep their shares of what the export then is.
    """
    found: list[_Chosen] = []
    for each in options:
        earlier = np.concatenate([np.zeros(0, np.uint64), *(np.frombuffer(other.hashes, np.uint64) for other in found)])
        found.append(_looked_at(each, seed, heldout, elsewhere, earlier))
    wanted = _wanted([each.share for each in options], [len(each.hashes) for each in found], traces)
    chosen = [replace(each, rows=rows, hashes=array("Q", each.hashes[:rows])) for each, rows in zip(found, wanted, strict=True)]
    return Mix(traces, seed, tuple(chosen))


def check_mix(options: Sequence[MixSource], *, where: str) -> None:
    """Raise SpecError where the shares leave nothing for the traces, SourceError where a source's first row can't be read."""
    if (total := sum(each.share for each in options)) >= 1:
        raise SpecError(f"{where}: the shares add up to {total:g}, and less than 1 leaves room for the traces")
    for each in options:
        next(read(each, each.license or "NONE", seed=0), None)


def licensed(options: Sequence[MixSource], *, where: str) -> Iterator[Licensed]:
    """Yield what the licence gate judges; `where` is the path in the spec."""
    for number, each in enumerate(options):
        yield Licensed(what=f"{where}[{number}] ({shown(each.source)})", license=each.license)


def _wanted(shares: Sequence[float], there: Sequence[int], traces: int) -> list[int]:
    short: set[int] = set()
    while True:
        left = 1 - sum(share for number, share in enumerate(shares) if number not in short)
        whole = (traces + sum(there[number] for number in short)) / left
        rows = [there[n] if n in short else round(share * whole) for n, share in enumerate(shares)]
        more = [number for number, each in enumerate(rows) if each > there[number]]
        if not more:
            return rows
        # One at a time: without what it lacks, the others may have enough.
        short.add(min(more, key=lambda number: there[number] / shares[number]))


def _looked_at(
    options: MixSource, seed: int, heldout: Decontamination | None, elsewhere: Collection[int], earlier: npt.NDArray[np.uint64]
) -> _Chosen:
    """Return a source with the hashes of all of its different rows that may be taken, the least first: not those of `earlier`."""
    license_ = str(parse(options.license or "", what=f"mix: {shown(options.source)}"))
    found = array("Q")

    def asked() -> Iterator[str]:
        for each in read(options, license_, seed):
            found.append(hash_of(each, seed))
            yield each.prompt.prompt

    back = array("Q", (found[place] for place, number in enumerate(numbers(asked())) if number in elsewhere))
    hashes, held = _different(found), _different(back)
    bad = _contaminated(options, license_, seed, heldout) if heldout is not None else ()
    clean = hashes[~np.isin(hashes, np.array(sorted(bad), dtype=np.uint64))]
    inside = clean[~np.isin(clean, held)]
    kept = inside[~np.isin(inside, earlier)]
    return _Chosen(
        options=options,
        license=license_,
        available=len(kept),
        contaminated=len(hashes) - len(clean),
        held_back=len(clean) - len(inside),
        repeated=len(inside) - len(kept),
        rows=0,
        hashes=array("Q", kept.tobytes()),
    )


def _different(hashes: array[int]) -> npt.NDArray[np.uint64]:
    return np.unique(np.frombuffer(hashes, dtype=np.uint64)) if hashes else np.zeros(0, dtype=np.uint64)


def _contaminated(options: MixSource, license_: str, seed: int, heldout: Decontamination) -> Collection[int]:
    """Return the hashes of the rows that have held-out items in them: prompts first, as a build looks for them."""

    def asked() -> Iterator[Text]:
        for found in read(options, license_, seed):
            turns = [{"role": each.role, "content": each.content} for each in found.prompt.messages]
            yield from prompt_texts(hash_of(found, seed), found.prompt.prompt_id, turns)

    def answered() -> Iterator[Text]:
        for found in read(options, license_, seed):
            yield from response_texts(str(hash_of(found, seed)), found.prompt.prompt_id, found.prompt.reference or "", None)

    prompts: Matching = Matching(index=heldout.index)
    bad = {int(hit.key) for hits in (prompts.find(asked()), prompts.finish()) for hit in hits}
    responses: Matching = Matching(index=heldout.index, common=prompts.common)
    return bad | {int(hit.key) for hits in (responses.find(answered()), responses.finish()) for hit in hits}


def _taken(chosen: _Chosen, seed: int) -> Iterator[Found]:
    taken = bytearray(len(chosen.hashes))
    for found in read(chosen.options, chosen.license, seed):
        key = hash_of(found, seed)
        place = bisect_left(chosen.hashes, key)
        if place < len(taken) and chosen.hashes[place] == key and not taken[place]:  # a row that stands twice counts once
            taken[place] = True
            yield found


def _row(found: Found, chosen: _Chosen) -> dict[str, Any]:
    """Return a row as a trace: nobody generated it, so what is a teacher's is null."""
    prompt = found.prompt
    messages = [{"role": each.role, "content": each.content} for each in prompt.messages]
    system = next((each.content for each in prompt.messages if each.role == "system"), None)
    return dict.fromkeys(TRACES.names) | {
        "sample_id": address(["human", messages, prompt.reference]),
        "prompt_id": prompt.prompt_id,
        "system": system,
        "prompt": prompt.prompt,
        "messages": messages,
        "response": prompt.reference,
        "prompt_source": chosen.options.source,
        "prompt_license": chosen.license,
        "license": chosen.license,
        "train_use": effective(chosen.license, chosen.license, terms=None).train_use,
        "generation": 0,
        "split": MIXED,
    }
