"""Tokens of a student's own tokenizer with what the teacher would have said at each: top-n distributions, aligned by bytes."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from storage.errors import SpecError
from storage.wording import counted
from tasks.exporters.chat import Encoded, Rendered, revision_of, vocabulary_of
from tasks.exporters.distillkit import Codec, CodecOptions
from tasks.exporters.protocol import exporter
from tasks.exporters.tokenized import BATCH, MASKED, Conversation, Tokenized
from tasks.exporters.translation import Learnt, Taught, Translator, narrowed, nothing
from tasks.exporters.turns import origin
from tasks.publishing.distributions import positions

CONFIG = "compression_config.yaml"
"""What DistillKit calls the file that says how distributions are compressed."""
_WHY = {
    "no_distributions": "have no distributions (draw with `sampling.logprobs`, or name a scorer with `scores`)",
    "unknown_ids": "have token ids of another vocabulary and nothing else (name its tokenizer with `teacher_tokenizer`)",
    "other_text": "have tokens that don't make their response (name the teacher's own tokenizer with `teacher_tokenizer`)",
}
"""What is said of traces that give nothing."""
_CONSTANT = ("student", "tokenizer_sha256", "student_revision", "scorer")
_NOBODY = "unrevised "
"""What counts begin with of rows whose teacher's revision isn't known."""


@exporter(needs_distributions=True)
class Soft(Tokenized):
    """A row is a conversation or, packed, several, with a distribution beside each token of the response."""

    form: ClassVar[str] = "soft"
    offsets: ClassVar[bool] = True

    teacher_tokenizer: Annotated[str, Field(min_length=1)] | None = None
    """The teacher's tokenizer, a local folder or an id of the Hub, where its server gives ids of another vocabulary than the
    student's. Left out, ids are the student's own where these make the response; else tokens are as the server spells them."""
    scores: Annotated[str, Field(min_length=1)] | None = None
    """The scorer whose distributions these are. Left out, they are those that the samples were drawn with."""
    fingerprint: Annotated[str, Field(min_length=4)] | None = None
    """The beginning of the address of its scores that count, where it has scored these traces in several ways."""
    logprobs: Literal["float16", "float32"] = "float16"
    """How log-probabilities are kept; float16 is off by a two-thousandth of each."""
    min_aligned: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The share of the tokens that are learnt which must have a distribution, or the export is refused."""
    layout: Literal["lists", "distillkit"] = "lists"
    """`lists`, as `stillhouse distill` reads them, or the compressed form of Arcee's DistillKit."""
    codec: CodecOptions | None = None
    """How `distillkit` compresses; left out, by what there is."""
    student_revision: Annotated[str, Field(min_length=1)] | None = None
    """Stands in every row, for whoever trains on it. Left out: the commit of the Hub's that the tokenizer is of, or `sha256:…`,
    the digest of the student's folder."""
    teacher_revision: Annotated[str, Field(min_length=1)] | None = None
    """Likewise, of who gave the distributions. Left out: each row has its own, as it was noted when the sample was drawn or
    scored, and else as the teacher's `revision` says."""
    _chats: list[Any] = dataclasses.field(default_factory=list, init=False, repr=False, compare=False)
    _revisions: list[str | None] = dataclasses.field(default_factory=list, init=False, repr=False, compare=False)
    _codecs: list[Codec] = dataclasses.field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codec is not None and self.layout != "distillkit":
            raise ValueError("codec: is of `layout: distillkit`")
        if self.fingerprint is not None and self.scores is None:
            raise ValueError("fingerprint: is of a scorer's scores; name it with `scores`")
        if self.layout == "distillkit" and self.position_ids:
            raise ValueError("position_ids: `layout: distillkit` has none")

    @property
    def schema(self) -> pa.Schema:
        """Return the columns."""
        plain = super().schema
        wide = pa.list_(pa.int32())
        length = ("prompt_length", wide if self.packing else pa.int32())
        revision = ("teacher_revision", pa.list_(pa.string()) if self.packing else pa.string())
        constant = [(name, pa.string()) for name in _CONSTANT]
        if self.layout == "distillkit":
            packed = pa.list_(pa.list_(pa.uint8()))
            own = [("compressed_logprobs", packed), ("bytepacked_indices", packed)]
            fields = [pa.field(each.name, pa.list_(pa.uint64())) if each.name == "input_ids" else each for each in plain]
        else:
            value = pa.float16() if self.logprobs == "float16" else pa.float32()
            own = [("top_ids", pa.list_(wide)), ("top_logprobs", pa.list_(pa.list_(value))), ("rest", pa.list_(pa.float32()))]
            fields = list(plain)
        return pa.schema([*fields[:2], *own, *fields[2:], length, *constant[:-1], revision, constant[-1]])

    def ready(self) -> None:
        """Raise SpecError or SetupError where a tokenizer isn't there, or can't be told as bytes."""
        super().ready()
        _translator(self.tokenizer, self.teacher_tokenizer)

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows. Raise SpecError where fewer tokens have a distribution than `min_aligned` says."""
        self._codecs.clear()
        self._chats[:] = [self._chat]  # once, since its checksums are of megabytes, and a student's of gigabytes
        self._revisions[:] = [self.student_revision or revision_of(self.tokenizer)]
        yield from super().rows(traces)
        self._check(min_aligned=self.min_aligned)

    def facts(self) -> dict[str, Any]:
        """Return what tokenized rows are of, and how far teacher and student are aligned."""
        counts = self._counts
        own: dict[str, Any] = {
            "vocabulary_sha256": vocabulary_of(self.tokenizer).sha256,
            "aligned_tokens": counts["aligned"],
            "unaligned_tokens": counts["trained_tokens"] - counts["aligned"],
            "alternatives": counts["alternatives"],
            "mean_rest": round(counts["rest ppm"] / counts["aligned"] / 1e6, 6) if counts["aligned"] else None,
            "traces_by": {how: counts[f"how {how}"] for how in ("ids", "bytes", *_WHY)},
        }
        for codec in self._codecs:
            moved = round(counts["moved ppm"] / counts["compressed"] / 1e6, 6) if counts["compressed"] else None
            own |= {"codec": codec.config(), "thin_tokens": counts["thin"], "mean_moved": moved}
        return super().facts() | own

    def caveats(self) -> list[str]:
        """Return whose revision isn't known."""
        lines = [
            f"{self.form}: the revision of {who} is unknown, so `teacher_revision` is null in its rows; name it as the teacher's "
            "`revision`, or as the export's `teacher_revision`"
            for who in sorted(each.removeprefix(_NOBODY) for each in self._counts if each.startswith(_NOBODY))
        ]
        if self._revisions == [None]:
            lines.append(
                f"{self.form}: the revision of {self.tokenizer} is unknown, so `student_revision` is null; name it as the "
                "export's `student_revision`"
            )
        return lines

    def documents(self) -> dict[str, str]:
        """Return the config by which DistillKit reads the rows."""
        return {CONFIG: self._codecs[0].yaml()} if self._codecs else {}

    def _sequences(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[Conversation]:
        found = super()._sequences(traces)
        head = list(itertools.islice(found, BATCH))
        if len(head) == BATCH:
            self._check(min_aligned=min(self.min_aligned, 1e-9))  # rather now than behind ten million others
        if self.layout == "distillkit":
            counts = np.concatenate([np.zeros(0, np.int64), *(_of(each).counts for each in head)])
            size = vocabulary_of(self.tokenizer).size
            self._codecs.append(Codec.choose(self.codec, size, counts, most=self._counts["most"]))
        yield from itertools.chain(head, found)

    def _conversation(self, trace: Mapping[str, Any], rendered: Rendered, tokens: Encoded, fitting: Encoded) -> Conversation:
        counts, number = self._counts, fitting.end - fitting.begin
        if trace["teacher"] is None:  # a row that was mixed in: people have no distributions
            counts["mixed"] += number
            taught = nothing(number, "no_distributions")
        else:
            taught = self._taught(trace, self._learnt(trace, rendered, tokens)).cut(number)
            counts["asked"] += 1
            counts[f"how {taught.how}"] += 1
        counts["aligned"] += taught.aligned
        counts["alternatives"] += len(taught.ids)
        counts["rest ppm"] += round(float(taught.rest[taught.counts > 0].sum(dtype=np.float64)) * 1e6)
        revision = self.teacher_revision or trace["revision"]
        if trace["teacher"] is None or (self.scores is not None and taught.how == "no_distributions"):
            revision = None  # there is nothing that somebody gave
        elif revision is None:
            counts[_NOBODY + (self.scores or f"{trace['teacher']} ({trace['model']})")] += 1
        return Conversation(fitting, origin(trace) | {"teacher_revision": revision}, taught)

    def _taught(self, trace: Mapping[str, Any], learnt: Learnt) -> Taught:
        if trace["logprobs"] is None:
            return nothing(len(learnt.ids), "no_distributions")
        given = positions(trace["logprobs"])
        self._counts["most"] = max(self._counts["most"], int(given.counts.max(initial=0)))
        return _translator(self.tokenizer, self.teacher_tokenizer).translate(learnt, given)

    def _learnt(self, trace: Mapping[str, Any], rendered: Rendered, tokens: Encoded) -> Learnt:
        first = tokens.offsets[0][0] if tokens.offsets else len(rendered.text)
        thought = trace["reasoning"] if self.reasoning != "omit" else None
        return Learnt(
            text=rendered.text[first:],
            ids=tokens.ids[tokens.begin : tokens.end].tolist(),
            offsets=[(begin - first, end - first) for begin, end in tokens.offsets],
            ended=tokens.ended,
            parts=[trace["response"], *([thought] if thought else [])],
        )

    def _check(self, *, min_aligned: float) -> None:
        counts = self._counts
        learnt = counts["trained_tokens"] - counts["mixed"]
        if not learnt or counts["aligned"] >= min_aligned * learnt:
            return
        none = [f"{counts[f'how {why}']:,} {told}" for why, told in _WHY.items() if counts[f"how {why}"]]
        told = f"of {counted(counts['asked'], 'trace')}, {', '.join(none)}" if none else ""
        raise SpecError(
            f"exports: soft: only {counts['aligned'] / learnt:.1%} of {learnt:,} tokens that are learnt have a distribution, and "
            f"min_aligned asks for {self.min_aligned:.0%}: {told or 'the two tokenizers cut texts in different places'}"
        )

    def _row(self, sequences: Sequence[Conversation]) -> dict[str, Any]:
        lengths = [each.tokens.begin for each in sequences]
        row = super()._row(sequences) | {"prompt_length": lengths if self.packing else lengths[0]}
        folder = Path(self.tokenizer).expanduser()
        row |= {
            "student": folder.name if folder.is_dir() else self.tokenizer,
            "tokenizer_sha256": self._chats[0].facts["tokenizer_sha256"],
            "student_revision": self._revisions[0],
            "scorer": self.scores,
        }
        if self.packing:
            row["teacher_revision"] = [each.origin["teacher_revision"] for each in sequences]
        columns = self._compressed(sequences, row) if self.layout == "distillkit" else self._lists(sequences)
        return row | columns

    def _lists(self, sequences: Sequence[Conversation]) -> dict[str, Any]:
        kind = np.float16 if self.logprobs == "float16" else np.float32
        ids: list[npt.NDArray[Any] | None] = []
        logprobs: list[npt.NDArray[Any] | None] = []
        rest: list[float | None] = []
        for tokens, taught in ((each.tokens, _of(each)) for each in sequences):
            before, behind = [None] * tokens.begin, [None] * (len(tokens) - tokens.end)
            ids += [*before, *_cut(taught.ids, taught.counts), *behind]
            logprobs += [*before, *_cut(narrowed(taught.logprobs, taught.counts, kind), taught.counts), *behind]
            has = (taught.counts > 0).tolist()
            rest += [*before, *(each if one else None for each, one in zip(taught.rest.tolist(), has, strict=True)), *behind]
        return {"top_ids": ids, "top_logprobs": logprobs, "rest": rest}

    def _compressed(self, sequences: Sequence[Conversation], row: Mapping[str, Any]) -> dict[str, Any]:
        """Return DistillKit's columns, in which a distribution stands one token before the one that was drawn from it.

        Its trainer counts a distribution where the token that it stands at has a label, and a label one token before. So a token
        has a label where both are known: itself, and what follows.
        """
        (codec,) = self._codecs
        number = len(row["input_ids"])
        counts = np.zeros(number, np.int64)
        first = 0
        for tokens, taught in ((each.tokens, _of(each)) for each in sequences):
            start = max(0, 1 - tokens.begin)  # nothing stands before a first token
            counts[first + tokens.begin + start - 1 : first + tokens.end - 1] = taught.counts[start:]
            first += len(tokens)
        flat = [(_of(each), int(_of(each).counts[: max(0, 1 - each.tokens.begin)].sum())) for each in sequences]
        ids = np.concatenate([taught.ids[skip:] for taught, skip in flat])
        logprobs = np.concatenate([taught.logprobs[skip:] for taught, skip in flat])
        thin = np.zeros(number, bool) if codec.exact else (counts > 0) & (counts < codec.options.k)
        self._counts["thin"] += int(thin.sum())
        stay = ~np.repeat(thin, counts)
        counts = np.where(thin, 0, counts)
        room = max(0, (self.max_length or 0) - number) if self.packing else 0
        counts = np.concatenate([counts, np.zeros(room, np.int64)])
        table, values = codec.filled(counts, ids[stay], logprobs[stay])
        compressed, indices = codec.encode(table, values)
        has = counts > 0
        moved = np.abs(np.exp(codec.decode(compressed[has], indices[has])[1]) - np.exp(values[has])).sum() / 2
        self._counts["compressed"] += int(has.sum())
        self._counts["moved ppm"] += round(float(moved) * 1e6)
        labels = np.concatenate([np.array(row["labels"], np.int64), np.full(room, MASKED)])
        return {
            "input_ids": [*row["input_ids"], *[self._chats[0].padding] * room],
            "labels": np.where(counts > 0, labels, MASKED).tolist(),
            "compressed_logprobs": list(compressed),
            "bytepacked_indices": list(indices),
        }


def _cut(values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
    """Return so many of the values for each token."""
    bounds = [0, *np.cumsum(counts).tolist()]
    return [values[begin:end] for begin, end in itertools.pairwise(bounds)]


def _of(conversation: Conversation) -> Taught:
    tokens = conversation.tokens
    return conversation.taught or nothing(tokens.end - tokens.begin, "no_distributions")


@functools.lru_cache(maxsize=4)
def _translator(student: str, teacher: str | None) -> Translator:
    return Translator(vocabulary_of(student), None if teacher is None else vocabulary_of(teacher))
