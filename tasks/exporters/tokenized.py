"""Token ids of a student's own tokenizer and chat template, with labels that leave the loss to the response."""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from storage.errors import SpecError
from storage.records import CUT_OFF
from storage.wording import counted
from tasks.exporters.chat import Chat, Encoded, Rendered, Unclear, load
from tasks.exporters.packing import packed
from tasks.exporters.protocol import NoRows, exporter
from tasks.exporters.translation import Taught
from tasks.exporters.turns import ORIGIN, Shown, origin
from tasks.options import PathText
from tasks.rights.conjunction import conjunction

BATCH = 256
"""Conversations that are tokenized at a time, at most."""
BYTES = 1_000_000
"""Bytes of text that are: each takes some hundred, in digits four hundred, until it is part of an id alone."""
LONGEST = 8_000_000
"""Bytes of a conversation that is tokenized at all."""
SPARSE = 30
"""Bytes for each token of a row with which a conversation of more than BYTES is too long, whatever its tokens are: in none of the
world's scripts, and in no code, do tokens of so many follow one another for a megabyte."""
MASKED = -100
"""The label that Hugging Face's losses pass over."""
_IDS = pa.list_(pa.int32())


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as a row, or a part of a packed row, has it."""

    tokens: Encoded
    """All of it."""
    origin: dict[str, Any]
    """Where it comes from."""
    taught: Taught | None = None
    """What its teacher gave to the tokens that are learnt."""

    def __len__(self) -> int:
        return len(self.tokens)


@exporter()
class Tokenized(Shown):
    """A row is a conversation or, packed, several."""

    form: ClassVar[str] = "tokenized"
    """Its name in what it says."""
    offsets: ClassVar[bool] = False
    """Whether it needs to know where tokens stand in the text."""

    tokenizer: Annotated[str, Field(min_length=1)]
    """A local folder, or an id of the Hub."""
    chat_template: PathText | None = None
    """A file with a Jinja template in place of the tokenizer's own."""
    chat_template_kwargs: dict[str, str | int | float | bool | None] = dataclasses.field(default_factory=dict)
    """What the template is given besides, such as `enable_thinking`."""
    reasoning: Literal["turn", "think", "omit"] = "omit"
    """As elsewhere: `turn` leaves it to the template where it stands."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Tokens of a row at most."""
    too_long: Literal["drop", "truncate"] = "drop"
    """What becomes of a conversation of more; truncated, it loses its end, and so the end of its turn."""
    packing: bool = False
    """Whether several conversations fill a row."""
    position_ids: bool = False
    """Whether there is a column of each token's place in its conversation, for trainers that don't know `seq_lengths`."""
    altered: Literal["refuse", "drop"] = "refuse"
    """What becomes of a conversation of which the template leaves out or changes a part, or that it refuses."""
    _counts: Counter[str] = dataclasses.field(default_factory=Counter, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.packing and self.max_length is None:
            raise ValueError("packing: needs max_length, the tokens of a row")

    @property
    def schema(self) -> pa.Schema:
        """Return the columns: those of `ORIGIN` are lists where rows are packed, but for the licence, which is the row's."""
        own = [("input_ids", _IDS), ("labels", _IDS)]
        own += [("position_ids", _IDS)] if self.position_ids else []
        own += [("seq_lengths", _IDS)] if self.packing else []
        text = pa.list_(pa.string()) if self.packing else pa.string()
        return pa.schema([*own, ("length", pa.int32()), *((name, pa.string() if name == "license" else text) for name in ORIGIN)])

    def ready(self) -> None:
        """Raise SpecError or SetupError where the tokenizer isn't there, its template hides something, or nothing would fit."""
        asked = [{"role": "user", "content": "What is 2 + 2?"}]
        trace = {"response": "It is 4.", "reasoning": "2 and 2 make 4."}
        try:
            rendered = self._chat.render(asked, self._turn(trace), day=datetime(2000, 1, 1))  # noqa: DTZ001 - only a day to write
        except Unclear as error:
            raise SpecError(
                f"exports: {self.form}: {error} (reasoning: {self.reasoning}); choose another `reasoning`, or a `chat_template`"
            ) from error
        (shortest,) = self._chat.encode([rendered])
        if self.max_length is not None and len(shortest) > self.max_length:
            told = f"even a short conversation has {counted(len(shortest), 'token')}; raise it"
            raise SpecError(f"exports: {self.form}: max_length: {self.max_length}: {told}")

    def rows(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows.

        Raise NoRows where every trace is dropped, SpecError where `altered` is `refuse` and the template can't show one.
        """
        self._counts.clear()
        if not self.packing:
            for sequence in self._sequences(traces):
                self._counts["rows"] += 1
                yield self._row([sequence]) | sequence.origin
        else:
            for sequences in packed(self._sequences(traces), self.max_length or 0):
                self._counts["rows"] += 1
                lists = {name: [each.origin[name] for each in sequences] for name in ORIGIN}
                yield (
                    self._row(sequences)
                    | {"seq_lengths": [len(each) for each in sequences]}
                    | lists
                    | {"license": conjunction(lists["license"])}
                )
        if self._counts["traces"] and not self._counts["rows"]:
            dropped = ", ".join(f"{number:,} {why}" for why, number in self._dropped().items() if number)
            raise NoRows(f"exports: {self.form}: every trace was dropped ({dropped}); raise max_length, or mend the options")

    def facts(self) -> dict[str, Any]:
        """Return what the tokens are of, how many there are, and what was left out."""
        counts = self._counts
        told: dict[str, Any] = {"transformers": version("transformers"), "tokenizers": version("tokenizers")}
        told |= self._chat.facts
        listed = ("traces", "sequences", "tokens", "trained_tokens", "truncated", "cut_off", "endless", "seams")
        told |= {name: counts[name] for name in listed}
        told["dropped"] = self._dropped()
        if self.packing:
            room = counts["rows"] * (self.max_length or 0)
            told["filled"] = round(counts["tokens"] / room, 4) if room else None
        return told

    def losses(self, told: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return how many conversations were left out, and why, and how many were cut."""
        why, lines = Counter[str](), []
        for each in told:
            why.update(each["dropped"])
        traces, cut = (sum(each[name] for each in told) for name in ("traces", "truncated"))
        if why.total():
            reasons = ", ".join(f"{name} {number:,}" for name, number in why.items() if number)
            lines.append(f"{self.form}: {why.total():,} of {traces:,} conversations are left out ({reasons})")
        if cut:
            lines.append(f"{self.form}: {cut:,} of {traces:,} conversations are cut, and lack the end of their turn")
        if any(each["endless"] for each in told):
            lines.append(
                f"{self.form}: neither the chat template nor the tokenizer has a token that ends a turn; "
                "a student doesn't learn to end one"
            )
        return lines

    def _dropped(self) -> dict[str, int]:
        return {why: self._counts[f"dropped {why}"] for why in ("too_long", "special_tokens", "altered")}

    @property
    def _chat(self) -> Chat:
        return load(self.tokenizer, self.chat_template, self.chat_template_kwargs)

    def _turn(self, trace: Mapping[str, Any]) -> dict[str, Any]:
        """Return the assistant's turn under the keys that transformers knows, whatever its template calls them."""
        turn = {"role": "assistant", "content": self.response(trace)}
        return turn | ({"reasoning_content": trace["reasoning"]} if self.reasoning == "turn" and trace["reasoning"] else {})

    def _sequences(self, traces: Iterable[Mapping[str, Any]]) -> Iterator[Conversation]:
        chat, counts = self._chat, self._counts
        for batch in _batches(traces):
            shown = [(trace, rendered) for trace in batch if (rendered := self._rendered(chat, trace)) is not None]
            encoded = chat.encode([rendered for _, rendered in shown], offsets=self.offsets)
            for (trace, rendered), whole in zip(shown, encoded, strict=True):
                cut = trace.get("finish_reason") in CUT_OFF
                tokens = whole.unended() if cut else whole
                counts["cut_off"] += cut
                counts["endless"] += not whole.ended
                fitting = self._fitting(tokens)
                if fitting is not None:
                    counts["sequences"] += 1
                    counts["tokens"] += len(fitting)
                    counts["trained_tokens"] += fitting.end - fitting.begin
                    counts["seams"] += fitting.seam
                    yield self._conversation(trace, rendered, tokens, fitting)

    def _conversation(self, trace: Mapping[str, Any], rendered: Rendered, tokens: Encoded, fitting: Encoded) -> Conversation:  # noqa: ARG002
        """Return what a row has of a trace, whose `tokens` may have been cut to those `fitting`."""
        return Conversation(fitting, origin(trace))

    def _rendered(self, chat: Chat, trace: Mapping[str, Any]) -> Rendered | None:
        self._counts["traces"] += 1
        if self._vast(trace):
            return None
        asked, answered = self.asked(trace), self._turn(trace)
        thought = (trace["reasoning"] or "") if self.reasoning != "omit" else ""
        if chat.has_special([*(turn["content"] for turn in asked), thought, trace["response"]]):
            self._counts["dropped special_tokens"] += 1
            return None
        try:
            return chat.render(asked, answered, day=trace["created_at"])
        except Unclear as error:
            if self.altered == "refuse":
                raise SpecError(
                    f"exports: {self.form}: prompt {trace['prompt_id']!r}: {error}; choose another `reasoning`, `system` or "
                    "`chat_template`, or leave such traces out: `altered: drop`"
                ) from error
            self._counts["dropped altered"] += 1
            return None

    def _vast(self, trace: Mapping[str, Any]) -> bool:
        """Return whether a trace is far too long for a row, and count it. Raise SpecError where it is so for any memory."""
        size = _size(trace)
        if self.max_length is not None and self.too_long == "drop" and size > max(BYTES, SPARSE * self.max_length):
            self._counts["dropped too_long"] += 1
            return True
        if size > LONGEST:
            raise SpecError(
                f"exports: {self.form}: prompt {trace['prompt_id']!r}: its sample {trace['sample_id']} makes a conversation of "
                f"{size:,} bytes, of which {LONGEST:,} can be tokenized; leave it out by `max_length`, with `too_long: drop`, or "
                "by the verifier `length`"
            )
        return False

    def _fitting(self, tokens: Encoded) -> Encoded | None:
        """Return what fits a row, or None, and count what doesn't."""
        limit = self.max_length
        if limit is None or len(tokens) <= limit:
            return tokens
        # Cut off before its response, it has nothing to learn from.
        if self.too_long == "drop" or tokens.begin >= limit:
            self._counts["dropped too_long"] += 1
            return None
        self._counts["truncated"] += limit < tokens.end  # what stands behind the turn is no loss
        return dataclasses.replace(tokens, ids=tokens.ids[:limit], end=min(tokens.end, limit))

    def _row(self, sequences: Sequence[Conversation]) -> dict[str, Any]:
        ids, labels = array("i"), array("i")
        for each in sequences:
            tokens = each.tokens
            ids.extend(tokens.ids)
            labels.extend([MASKED] * tokens.begin)
            labels.extend(tokens.ids[tokens.begin : tokens.end])
            labels.extend([MASKED] * (len(tokens) - tokens.end))
        row: dict[str, Any] = {"input_ids": ids.tolist(), "labels": labels.tolist(), "length": len(ids)}
        if self.position_ids:
            row["position_ids"] = [place for each in sequences for place in range(len(each))]
        return row


def _batches(traces: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield traces together that are to be tokenized at a time."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for trace in traces:
        batch.append(trace)
        size += _size(trace)
        if len(batch) >= BATCH or size >= BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(trace: Mapping[str, Any]) -> int:
    """Return how many bytes a conversation's texts are."""
    texts = (trace["response"], trace["reasoning"] or "", *(turn["content"] for turn in trace["messages"]))
    return sum(len(text.encode()) for text in texts)
