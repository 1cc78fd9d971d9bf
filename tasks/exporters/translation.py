"""A teacher's distributions as a student's: the same probabilities, at the student's tokens, of the student's tokens.

An alternative is the student's token of the same bytes. One that the student has no token for joins what is left outside: nothing
is renormalised, since that would teach that nothing else could have followed. The token that ends the teacher's turn is the one
that ends the student's, wherever it is an alternative, whatever each calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tasks.exporters.alignment import Pair, Shared, Span, joined, pairs, placed, shared, spelled
from tasks.publishing.distributions import Positions
from tasks.teachers.distribution import SAME
from tasks.vocabulary import Vocabulary

Numbers = npt.NDArray[np.int64]
How = Literal["ids", "bytes"]
Why = Literal["no_distributions", "unknown_ids", "other_text"]
HALF = 2.0**-10
"""By what part a number may differ from itself where a store keeps it in half precision."""
GAP = -1
"""In the place of an id, where a server left positions out."""
NOTHING: npt.NDArray[np.int32] = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a student learns of one conversation."""

    text: str
    """The conversation's, from the first character of the first of these tokens."""
    ids: Sequence[int]
    """Its tokens that are learnt."""
    offsets: Sequence[tuple[int, int]]
    """Where each stands in the text, in characters; an end that was appended to it has none."""
    ended: bool
    """Whether the last of them ends the turn."""
    parts: Sequence[str]
    """What the teacher wrote of it: its response and, where that is learnt too, its reasoning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What the teacher gave to a student's tokens: some alternatives to each, best first."""

    counts: Numbers
    """How many each token has; 0: there is no distribution."""
    ids: npt.NDArray[np.int32]
    """All of them, token by token, each of a token once."""
    logprobs: npt.NDArray[np.float32]
    """Theirs."""
    rest: npt.NDArray[np.float32]
    """The probability outside, for each token; 1 where there is no distribution."""
    how: How | Why
    """By which names the vocabularies were matched, or why there is nothing."""

    @property
    def aligned(self) -> int:
        """Return how many tokens have a distribution."""
        return int(np.count_nonzero(self.counts))

    def cut(self, tokens: int) -> Taught:
        """Return what is taught of the first so many tokens."""
        end = int(self.counts[:tokens].sum())
        return Taught(
            counts=self.counts[:tokens],
            ids=self.ids[:end],
            logprobs=self.logprobs[:end],
            rest=self.rest[:tokens],
            how=self.how,
        )


def nothing(tokens: int, why: Why) -> Taught:
    """Return what is taught where there is no distribution."""
    none = np.zeros(tokens, np.int64)
    return Taught(counts=none, ids=NOTHING, logprobs=NOTHING.astype(np.float32), rest=np.ones(tokens, np.float32), how=why)


def narrowed(logprobs: npt.NDArray[Any], counts: Numbers, kind: type[np.floating[Any]]) -> npt.NDArray[Any]:
    """Return log-probabilities in fewer bits, down rather than up where a position would have more probability than 1."""
    values = logprobs.astype(kind)
    places = np.repeat(np.arange(len(counts)), counts)
    over = np.bincount(places, np.exp(values.astype(np.float64)), minlength=len(counts)) > 1
    return np.where(over[places], np.nextafter(values, kind(-np.inf)), values)


class Translator:
    """From a teacher's vocabulary to a student's."""

    def __init__(self, student: Vocabulary, teacher: Vocabulary | None = None) -> None:
        """Take the vocabularies. Without the teacher's, its tokens are as the server spells them, or ids that the student has."""
        self._student, self._teacher = student, teacher
        self._exists = np.array([token is not None for token in student.tokens])
        self._table: Numbers | None = None
        if teacher is not None:
            same = teacher.sha256 == student.sha256
            found = [number if same else self._id(token) for number, token in enumerate(teacher.tokens)]
            self._table = np.array([-1 if token is None else number for number, token in zip(found, teacher.tokens, strict=True)])

    def translate(self, learnt: Learnt, given: Positions) -> Taught:
        """Return what is taught of a conversation by the distributions of its sample."""
        number = len(learnt.ids)
        tokens, how = self._spelled(given)
        if tokens is None:
            return nothing(number, "unknown_ids")
        found, ending = _pairs(learnt, [self._student.tokens[each] for each in learnt.ids], tokens)
        if not found:
            return nothing(number, "other_text")
        targets = self._targets(given, how)
        names = _Names(given, tokens)
        if ending is not None and learnt.ended:
            targets[names.same_as(ending)] = learnt.ids[-1]
        for pair in found:
            if pair.our_lead or pair.their_lead:
                self._led(pair, learnt, given, tokens, targets)
        return _taught(found, learnt.ids, given, targets, names.sampled(), how)

    def _spelled(self, given: Positions) -> tuple[list[bytes] | None, How]:
        """Return the sampled tokens' bytes, and by which names the vocabularies are matched; None where they are unknown."""
        if given.ids is not None and self._teacher is not None:
            return [each or b"" for each in _looked_up(self._teacher, given)], "ids"
        if given.ids is not None:
            # Whose text the student's own tokens make, whose vocabulary is the student's.
            own = _looked_up(self._student, given)
            if given.tokens is None:
                return None if None in own else [each or b"" for each in own], "ids"
            if all(map(spelled, given.tokens, own)):
                return [each or b"" for each in own], "ids"
        return given.tokens, "bytes"

    def _targets(self, given: Positions, how: How) -> Numbers:
        """Return the student's token for each alternative, -1 where it has none."""
        if how == "ids" and given.top_ids is not None:
            ids = given.top_ids.astype(np.int64)
            if self._table is not None:
                inside = (ids >= 0) & (ids < len(self._table))
                return np.where(inside, self._table[np.where(inside, ids, 0)], -1)
            inside = (ids >= 0) & (ids < len(self._exists))
            return np.where(inside & self._exists[np.where(inside, ids, 0)], ids, -1)
        known = self._student.ids
        return np.array([known.get(token, -1) for token in given.top_tokens or ()], np.int64)

    def _led(self, pair: Pair, learnt: Learnt, given: Positions, tokens: Sequence[bytes], targets: Numbers) -> None:
        """Find the alternatives at a token that has white space before its text in one vocabulary, and not in the other."""
        ours = self._student.tokens[learnt.ids[pair.ours]] or b""
        before, less = ours[: pair.our_lead], tokens[pair.theirs][: pair.their_lead]
        first = int(given.counts[: pair.theirs].sum())
        for place in range(first, first + int(given.counts[pair.theirs])):
            token = self._alternative(given, place)
            targets[place] = self._id(before + token[len(less) :]) if token and token.startswith(less) else -1

    def _alternative(self, given: Positions, place: int) -> bytes | None:
        if given.top_ids is not None and (self._teacher is not None or given.top_tokens is None):
            known = (self._teacher or self._student).tokens
            number = int(given.top_ids[place])
            return known[number] if 0 <= number < len(known) else None
        return None if given.top_tokens is None else given.top_tokens[place]

    def _id(self, token: bytes | None) -> int:
        return -1 if token is None else self._student.ids.get(token, -1)


def _looked_up(known: Vocabulary, given: Positions) -> list[bytes | None]:
    """Return the bytes of the sampled tokens' ids; of a gap, what the server says of it."""
    ids: list[int] = [] if given.ids is None else given.ids.tolist()
    spelled_as: Sequence[bytes | None] = given.tokens or [None] * len(ids)
    return [
        known.tokens[each] if 0 <= each < known.size else text if each == GAP else None
        for each, text in zip(ids, spelled_as, strict=True)
    ]


class _Names:
    """By what alternatives are told apart: ids where there are any, else bytes."""

    def __init__(self, given: Positions, tokens: Sequence[bytes]) -> None:
        by_ids = given.ids is not None and given.top_ids is not None
        self._given = given
        self._by_ids = by_ids
        self._one: Any = given.ids if by_ids else np.array([*tokens, None], object)[:-1]
        self._all: Any = given.top_ids if by_ids else np.array([*(given.top_tokens or ()), None], object)[:-1]

    def sampled(self) -> npt.NDArray[np.bool_]:
        """Return which alternatives are the tokens that were sampled."""
        given = self._given
        same = np.asarray(self._all == np.repeat(self._one, given.counts), bool)
        if self._by_ids:
            return same
        # Several tokens may have the same bytes, as a line break and <0x0A> have: the one that was sampled has its probability.
        own = np.repeat(given.logprobs, given.counts)
        near: npt.NDArray[np.bool_] = np.isclose(given.top_logprobs, own, rtol=HALF, atol=SAME) | np.isnan(own)
        return same & near

    def same_as(self, position: int) -> npt.NDArray[np.bool_]:
        """Return which alternatives are the token that was sampled at a position."""
        one = self._one[position]
        return np.zeros(len(self._all), bool) if one == b"" else np.asarray(self._all == one, bool)


def _pairs(learnt: Learnt, ours: Sequence[bytes | None], tokens: Sequence[bytes]) -> tuple[list[Pair], int | None]:
    """Return the tokens that are the same in both, and the position at which the teacher ended its turn, where it is shown."""
    spans: list[Span | None] = [*placed(ours[: len(learnt.offsets)], learnt.offsets, learnt.text)]
    text, stream = learnt.text.encode("utf-8", "surrogatepass"), b"".join(tokens)
    theirs = joined(tokens)
    our_end = len(text)
    if learnt.ended:
        last = spans.pop() if len(spans) == len(learnt.ids) else None
        our_end = our_end if last is None else last.begin
    found: list[Pair] = []
    ending: int | None = None
    their_end = len(stream)
    for number, part in enumerate(each.encode("utf-8", "surrogatepass") for each in learnt.parts):
        if number == 0:
            their_end, ending = _ending(tokens, theirs, stream, part)
        stretch: Shared | None = shared(text, stream, part, our_end=our_end, their_end=their_end)
        if stretch is None:
            continue
        found += [each for each in pairs(spans, theirs, stretch) if _blank(each, ours, tokens) and _whole(each, tokens)]
        if number == 0 and ending is not None and learnt.ended:
            found.append(Pair(len(learnt.ids) - 1, ending))
        our_end, their_end = stretch.ours, stretch.theirs
    return found, ending


def _ending(tokens: Sequence[bytes], spans: Sequence[Span], stream: bytes, response: bytes) -> tuple[int, int | None]:
    """Return where a teacher's text ends, and which token ended its turn: the last, where the response ends before it."""
    last = len(tokens) - 1
    response = response.rstrip()
    if not tokens or (tokens[last] and stream.rstrip().endswith(response)):
        return len(stream), None
    begin = spans[last].begin
    return (begin, last) if stream[:begin].rstrip().endswith(response) else (len(stream), None)


def _blank(pair: Pair, ours: Sequence[bytes | None], theirs: Sequence[bytes]) -> bool:
    """Return whether only white space stands before the text in a pair's tokens: else one of them says more than the other."""
    leads = ((ours[pair.ours] or b"")[: pair.our_lead], theirs[pair.theirs][: pair.their_lead])
    return not any(lead.strip() for lead in leads)


def _whole(pair: Pair, theirs: Sequence[bytes]) -> bool:
    """Return whether a pair's text is one token of the teacher's: vLLM writes a character's parts as nothing, all as the last."""
    before, own = theirs[pair.theirs - 1 : pair.theirs], theirs[pair.theirs]
    return before != [b""] or own.isascii()


def _taught(
    found: Sequence[Pair],
    ids: Sequence[int],
    given: Positions,
    targets: Numbers,
    sampled: npt.NDArray[np.bool_],
    how: How,
) -> Taught:
    number = len(ids)
    labels = np.array(ids, np.int64)
    ours = np.array([each.ours for each in found], np.int64)
    theirs = np.array([each.theirs for each in found], np.int64)
    place_of = np.full(len(given), -1, np.int64)
    place_of[theirs] = ours
    places = np.repeat(place_of, given.counts)
    # Tokens of the same bytes may be several: the one that was sampled is the one that is the label.
    targets = np.where(sampled & (places >= 0), labels[places], targets)
    # What a store keeps in few bits of all alternatives, it may keep in more of the one that was sampled.
    own = np.repeat(given.logprobs, given.counts)
    values = np.where(sampled & np.isfinite(own), own, given.top_logprobs)
    keep = (places >= 0) & (targets >= 0) & np.isfinite(values)
    there = np.zeros(number, bool)
    there[places[keep & sampled]] = True
    # What was sampled is known too, where it is none of the alternatives.
    more = ~there[ours] & np.isfinite(given.logprobs[theirs])
    places = np.concatenate([places[keep], ours[more]])
    targets = np.concatenate([targets[keep], labels[ours[more]]])
    logprobs = np.concatenate([values[keep], given.logprobs[theirs[more]]]).astype(np.float64)
    places, targets, logprobs = _once(places, targets, logprobs)
    order = np.lexsort((targets, -logprobs, places))
    places, targets, logprobs = places[order], targets[order], logprobs[order]
    counts = np.bincount(places, minlength=number)
    mass = np.bincount(places, np.exp(logprobs), minlength=number)
    logprobs -= np.log(np.maximum(mass, 1))[places]  # half precision in the lake makes a little more than 1 of some
    return Taught(
        counts=counts,
        ids=targets.astype(np.int32),
        logprobs=narrowed(logprobs, counts, np.float32),
        rest=np.clip(1 - mass, 0, 1).astype(np.float32),
        how=how,
    )


def _once(places: Numbers, targets: Numbers, logprobs: npt.NDArray[Any]) -> tuple[Numbers, Numbers, npt.NDArray[Any]]:
    """Return each token of a place once: several alternatives that are one token of the student's add up."""
    keys = places << 32 | targets
    different, first, which = np.unique(keys, return_index=True, return_inverse=True)
    if len(different) == len(keys):
        return places, targets, logprobs
    sums = np.full(len(different), -np.inf)
    np.logaddexp.at(sums, which, logprobs)
    return places[first], targets[first], sums
