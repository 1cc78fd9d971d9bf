"""Passes a response that a reward model gives a high enough score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal, cast
from urllib.parse import urlsplit

from pydantic import Field

from storage.errors import SetupError
from storage.records import Prompt, Sample
from verifiers.judging.fences import unmarked
from verifiers.protocol import NEVER, Finding, verifier
from verifiers.score_server import ScoreServer

Api = Literal["score", "classify", "pooling", "predict", "rerank"]
_CONTROL = ("What is 2 + 2?", "4")
"""A prompt and a response that any reward model scores: one that refuses them refuses everything."""
SLACK = 1e-6
"""A probability may be so far out of 0 … 1, being rounded."""


@verifier(version="2", isolated=False)
class RewardModel:
    """Passes a response that a reward model, on a server of its own, scores at `pass_at` or more.

    | api | asks | of |
    |---|---|---|
    | `score` | `POST /score` with prompt and response as a pair | vLLM |
    | `classify` | `POST /classify` with the conversation | vLLM |
    | `pooling` | `POST /pooling` with the conversation; the last token's number counts | vLLM |
    | `predict` | `POST /predict` with the pair | Text Embeddings Inference |
    | `rerank` | `POST /rerank` with the prompt as query and the response as text | Text Embeddings Inference |

    A server that can't be asked leaves the sample to the next build, and ends the run where it stays away; a request that it
    rejects (a response that is too long for it), or gives no score for, is an undecided verdict where it answers others.
    """

    version: ClassVar[str]
    isolated: ClassVar[bool]
    limit_s: ClassVar[float]
    """Set by the decorator."""

    url: Annotated[str, Field(min_length=1)] = field(metadata=NEVER)
    """Where the server's paths begin, such as http://localhost:8000."""
    model: Annotated[str, Field(min_length=1)]
    """The model, as the server knows it. Text Embeddings Inference serves one alone and isn't told; verdicts are kept by it."""
    api: Api = "score"
    """How the server is asked."""
    pass_at: Annotated[float, Field(ge=0, le=1)]
    """The score from which a response passes, from 0 to 1: after `scale`."""
    scale: Literal["probability", "sigmoid"] | tuple[float, float] = "probability"
    """What the server's number is. probability: from 0 to 1 already, and any other ends the run; sigmoid: a raw reward, made a
    probability by the logistic function, as Bradley-Terry models mean it; [worst, best]: a raw reward, from 0 at the worst to 1
    at the best. Raw rewards are asked for by `use_activation: false` or `raw_scores: true`."""
    label: str | int | None = None
    """Which class's score counts, where the model has several: its number for `classify`, its name for `predict`."""
    api_key_env: Annotated[str, Field(min_length=1)] | None = field(default=None, metadata=NEVER)
    """The environment variable that holds the server's key, where it wants one."""
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = field(default=60, metadata=NEVER)
    """Seconds for one request."""
    attempts: Annotated[int, Field(ge=1, le=100)] = field(default=5, metadata=NEVER)
    """For one request, at most."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = field(default=16, metadata=NEVER)
    """Requests side by side."""
    patience_s: Annotated[float, Field(ge=0)] = field(default=60, metadata=NEVER)
    """For how many seconds the server may fail for everybody before the run lands and exits 5."""

    def __post_init__(self) -> None:
        """Refuse what decides nothing, and a url that holds a key."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("url: must begin with http:// or https:// and name a server")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("url: has a password or a query in it, where keys tend to be; name a variable by api_key_env")
        if isinstance(self.scale, tuple) and not (all(map(math.isfinite, self.scale)) and self.scale[0] < self.scale[1]):
            raise ValueError("scale: the worst reward must be below the best, and both finite")
        if self.label is not None and isinstance(self.label, str) != (self.api == "predict"):
            raise ValueError("label: the number of a class for api classify, and the name of one for api predict")
        if self.label is not None and self.api not in {"classify", "predict"}:
            raise ValueError(f"label: api {self.api} gives one number; leave this out")
        if isinstance(self.label, int) and self.label < 0:
            raise ValueError("label: the number of a class is 0 or more")
        server = ScoreServer(
            url=self.url.rstrip("/"),
            api_key_env=self.api_key_env,
            timeout_s=self.timeout_s,
            attempts=self.attempts,
            concurrency=self.concurrency,
            patience_s=self.patience_s,
        )
        object.__setattr__(self, "_server", server)  # no option

    def ready(self) -> None:
        """Raise SetupError where the key isn't set."""
        self._asked.key()

    @property
    def _asked(self) -> ScoreServer:
        return cast("ScoreServer", getattr(self, "_server"))  # noqa: B009 - a dataclass would take it for a field

    async def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Ask for the score."""
        if not sample.response.strip():
            return Finding(passed=False, score=0.0, reason="the response is empty")
        turns = [(each.role, each.content) for each in sample.messages if each.role != "system"]
        body = self._body(prompt.prompt, turns, sample.response)
        control = self._body(_CONTROL[0], [], _CONTROL[1])
        number = await self._asked.ask(f"/{self.api}", body, self._read, control=control)
        score = self._scaled(number)
        shown = f"{score:.3f}" if self.scale == "probability" else f"{score:.3f} (reward {number:.4g})"
        return Finding(passed=score >= self.pass_at, score=score, reason=f"{shown}, to pass at {self.pass_at:g}")

    def _scaled(self, number: float) -> float:
        if self.scale == "sigmoid":
            return (1 + math.tanh(number / 2)) / 2  # the logistic function, which overflows nowhere
        low, high = self.scale if isinstance(self.scale, tuple) else (0.0, 1.0)
        share = (number - low) / (high - low)
        if self.scale == "probability" and not -SLACK <= share <= 1 + SLACK:
            raise SetupError(
                f"reward_model: {self.model} gave {number:.4g}, which is no probability: say `scale: sigmoid`, or "
                "`scale: [worst, best]` with the rewards that stand for 0 and 1"
            )
        return min(max(share, 0.0), 1.0)

    def _body(self, asked: str, turns: Sequence[tuple[str, str]], response: str) -> Mapping[str, Any]:
        asked, response = _readable(asked), _readable(response)
        raw = self.scale != "probability"
        if self.api == "predict":
            return {"inputs": [asked, response], "raw_scores": raw, "truncate": False}
        if self.api == "rerank":
            return {"query": asked, "texts": [response], "raw_scores": raw, "truncate": False}
        activation = {"use_activation": False} if raw else {}
        if self.api == "score":
            return {"model": self.model, "text_1": asked, "text_2": response} | activation
        spoken = [*(turns or [("user", asked)]), ("assistant", response)]
        messages = [{"role": role, "content": _readable(content)} for role, content in spoken]
        return {"model": self.model, "messages": messages} | activation

    def _read(self, document: Any) -> float:
        """Return the number of an answer. Raise ValueError where it hasn't one."""
        if self.api == "predict":
            return self._of_labels(document)
        if self.api == "rerank":
            return _number(_only(document).get("score"))
        data = _only(document.get("data") if isinstance(document, dict) else None)
        if self.api == "score":
            return _number(data.get("score"))
        numbers = data.get("probs" if self.api == "classify" else "data")
        if not isinstance(numbers, list) or not numbers:
            raise ValueError("it holds no numbers")
        if self.api == "pooling":
            last = numbers[-1] if isinstance(numbers[-1], list) else numbers
            if len(last) != 1:
                raise ValueError(f"it holds {len(last)} numbers for a token, so it is no score")
            return _number(last[0])
        if len(numbers) > 1 and not isinstance(self.label, int):
            raise ValueError(f"it tells of {len(numbers)} classes: say by `label` which one counts")
        place = self.label if isinstance(self.label, int) else 0
        if place >= len(numbers):
            raise ValueError(f"it tells of {len(numbers)} classes, and has none of number {place}")
        return _number(numbers[place])

    def _of_labels(self, document: Any) -> float:
        if not isinstance(document, list) or not all(isinstance(each, dict) for each in document):
            raise ValueError("it is no list of labels")
        scores = {each.get("label"): each.get("score") for each in cast("list[dict[str, Any]]", document)}
        if self.label is None and len(scores) != 1:
            raise ValueError(f"it tells of {len(scores)} classes: say by `label` which one counts")
        if self.label is not None and self.label not in scores:
            raise ValueError(f"it has no label {self.label!r}")
        return _number(next(iter(scores.values())) if self.label is None else scores[self.label])


def _only(found: object) -> dict[str, Any]:
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise ValueError("it isn't about one response")
    return cast("dict[str, Any]", found[0])


def _number(value: object) -> float:
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return float(value)
    raise ValueError("its score is no number")


def _readable(text: str) -> str:
    """Return a text that any server can read, and in which it finds the end of no turn."""
    return unmarked(text if text.isascii() else text.encode("utf-8", "replace").decode())
