"""What a spec says of teachers."""

from __future__ import annotations

import re
import string
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from storage.errors import BadResponse, EmptyResponse, TeacherError
from storage.records import CUT_OFF, REFUSED
from tasks.options import Options, PathText
from tasks.teachers.protocol import Usage

BATCH = "-batch"
"""A provider whose name ends so asks through batches."""
MOST_IN_FLIGHT = 512
"""Where no concurrency is given."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class LimitOptions(Options):
    """What a teacher may be asked for. 0: no such limit."""

    concurrency: int = Field(default=0, ge=0, le=10_000)
    """Requests in flight. 0: as many as the teacher serves well, which is found by trying, beginning with 64."""
    requests_per_minute: float = Field(default=0, ge=0)
    """Requests started in any minute, spread evenly."""
    tokens_per_minute: float = Field(default=0, ge=0)
    """Tokens in and out in any minute: an estimate is reserved, the real usage settles it."""
    requests_per_day: int = Field(default=0, ge=0)
    """Requests in a day (UTC), over all runs on this machine. When they are used, the run lands and exits 5."""
    tokens_per_day: int = Field(default=0, ge=0)
    """Tokens in and out in a day (UTC), likewise."""

    @property
    def most(self) -> int:
        """Requests that can be in flight at any time."""
        return self.concurrency or MOST_IN_FLIGHT


class PriceOptions(Options):
    """USD per million tokens."""

    input: float = Field(ge=0)
    """Prompt tokens."""
    output: float = Field(ge=0)
    """Completion tokens."""
    cached_input: float | None = Field(default=None, ge=0)
    """Prompt tokens read from the provider's cache. Left out: as `input`."""
    cache_write: float | None = Field(default=None, ge=0)
    """Prompt tokens written to it. Left out: as `input`."""
    reasoning: float | None = Field(default=None, ge=0)
    """Completion tokens that are reasoning. Left out: as `output`."""
    batch_discount: float = Field(default=0.5, ge=0, le=1)
    """The part of all of these that a batch saves."""

    @property
    def free(self) -> bool:
        """Whether nothing costs anything, however many tokens there are."""
        return not any(self.model_dump(exclude={"batch_discount"}).values())

    def batched(self) -> PriceOptions:
        """Return what is paid through a batch."""
        share = 1 - self.batch_discount
        rates = {name: rate * share for name, rate in self.model_dump(exclude={"batch_discount"}).items() if rate is not None}
        return PriceOptions(**rates, batch_discount=0)

    def cost(self, usage: Usage) -> float:
        """Return USD."""
        cached, written = usage.tokens_cached, usage.tokens_cache_written
        return (
            (usage.tokens_in - cached - written) * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + (usage.tokens_out - usage.tokens_reasoning) * self.output
            + usage.tokens_reasoning * (self.output if self.reasoning is None else self.reasoning)
        ) / 1e6


class RetryOptions(Options):
    """How often a request that failed for a passing reason is sent again."""

    attempts: int = Field(default=6, ge=1, le=100)
    """Requests for one answer, the first included."""
    first_wait_s: float = Field(default=0.5, gt=0)
    """The ceiling of the first random wait; it doubles with each attempt."""
    max_wait_s: float = Field(default=30, gt=0)
    """The ceiling of any wait that the server doesn't ask for itself."""
    budget: float = Field(default=1.0, ge=0, le=100)
    """Requests of a run that may be sent again, as a share of those that were sent first, and 100 on top: an outage must not
    multiply the cost. Refusals (429) and failed connections cost nothing and don't count."""
    patience_s: float = Field(default=60, ge=0)
    """A teacher that has answered before and fails for everybody is waited for so long."""
    length: Literal["keep", "retry", "reject"] = "keep"
    """A response that was cut off (finish_reason length). keep: it is a sample like any other, tagged by its finish_reason.
    retry: it is asked for again, up to `attempts`, and the last one is rejected if it is cut off as well. reject: at once. What
    is rejected was paid for and stays in the lake; nobody judges or exports it."""
    refusal: Literal["keep", "retry", "reject"] = "keep"
    """A response that declines to answer (finish_reason refusal or content_filter), likewise."""
    empty: Literal["retry", "reject"] = "retry"
    """A response without any text. reject: its slot fails at once."""
    malformed: Literal["retry", "reject"] = "retry"
    """A response that isn't what the API promises, likewise."""

    def policy(self, finish_reason: str) -> Literal["keep", "retry", "reject"]:
        """Return what becomes of a response that ended so."""
        if finish_reason in CUT_OFF:
            return self.length
        return self.refusal if finish_reason in REFUSED else "keep"

    def wants(self, finish_reason: str, response: str) -> bool:
        """Whether a stored response is to be judged: one that ended before its first word has nothing to judge, whatever."""
        if finish_reason in CUT_OFF | REFUSED and not response.strip(string.whitespace):
            return False
        return self.policy(finish_reason) == "keep"

    def again(self, error: BaseException) -> bool:
        """Whether a request that failed so may be sent again."""
        if isinstance(error, EmptyResponse):
            return self.empty == "retry"
        if isinstance(error, BadResponse):
            return self.malformed == "retry"
        return isinstance(error, TeacherError) and error.retryable


def _address(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "http://unset")
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from None
    if parts.username or parts.password:
        raise ValueError("has a user or a password in it; name a variable by api_key_env instead")
    if not parts.hostname:
        raise ValueError("names no host")
    if parts.query or parts.fragment:
        raise ValueError("has a query in it, where keys tend to be; name a variable by api_key_env instead")
    return url


def _unquoted(pattern: str, message: str) -> BeforeValidator:
    """Check a pattern first, with a message that doesn't quote what was given: a key may stand in it."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and not re.search(pattern, value):
            raise ValueError(message)
        return value

    return BeforeValidator(check)


_ADDRESS, _VARIABLE = r"^https?://", r"^[A-Za-z_][A-Za-z0-9_]*$"
Address = Annotated[
    str, StringConstraints(pattern=_ADDRESS), AfterValidator(_address), _unquoted(_ADDRESS, "must begin with http:// or https://")
]
Variable = Annotated[
    str,
    StringConstraints(pattern=_VARIABLE),
    _unquoted(_VARIABLE, "must be the name of an environment variable: the key itself is written nowhere"),
]


class ReplicaOptions(Options):
    """One of several servers or accounts that give the same model. What is left out is the teacher's own."""

    base_url: Address | None = None
    """Its address."""
    api_key_env: Variable | None = None
    """The environment variable that holds its key."""
    limits: LimitOptions | None = None
    """What it may be asked for."""


class SimulateOptions(Options):
    """How a simulated teacher behaves. 0: no such limit."""

    latency_s: float = Field(default=1.0, ge=0)
    """Seconds that an answer of average length takes."""
    tokens: int = Field(default=200, ge=1, le=100_000)
    """Completion tokens of an answer, on average."""
    spread: float = Field(default=0.5, ge=0, le=1)
    """An answer's length is (1 ± this) times the average, and its time as well."""
    faults: float = Field(default=0.0, ge=0, le=1)
    """Share of the requests that fail, in one of six ways."""
    concurrency: int = Field(default=0, ge=0)
    """Requests that it works on at a time; more are refused."""
    requests_per_minute: float = Field(default=0, ge=0)
    """More are refused."""
    tokens_per_minute: float = Field(default=0, ge=0)
    """While more are used, requests are refused."""


class TransformersOptions(Options):
    """How a model's folder is run on this machine."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto: a GPU where there is one."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """What its weights are multiplied in; it is a part of the sample's identity. auto: as they are saved."""
    batch: int = Field(default=32, ge=1, le=4_096)
    """Answers that are decoded together at most; fewer where memory doesn't hold them."""


class BatchOptions(Options):
    """How requests are gathered into batches."""

    requests: int = Field(default=10_000, ge=1, le=100_000)
    """In one batch at most."""
    side_by_side: int = Field(default=2, ge=1, le=1_000)
    """Batches to gather prompts for at a time: so many times `requests` prompts are held in memory."""
    linger_s: float = Field(default=5, ge=0, le=3_600)
    """A batch is sent once it is full, or nothing new has come for so long."""
    timeout_s: float = Field(default=86_400, gt=0)
    """The age at which a batch is cancelled: what is done by then is fetched, the rest is asked again."""


class TeacherOptions(Options):
    """One entry of the spec's `teachers`."""

    name: Name
    """What tables and messages call it."""
    provider: str
    """anthropic, anthropic-batch, local, openai, openai-batch, replay, simulate, transformers, or a plug-in's name."""
    model: str = Field(min_length=1)
    """As the server knows it. transformers: the model's folder."""
    license: str | None = None
    """SPDX expression of the model's licence. Without one the licence gate refuses."""
    terms: str | None = None
    """The id of the terms that bind whoever trains on its output. Left out: found by address and model in `rights/terms.yaml`."""
    revision: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    """Which revision of the model answers, such as a commit of the Hub's; it is stored with each sample, and no part of its
    identity. Left out: what is found by itself."""
    parameters: float | None = Field(default=None, gt=0, lt=1e6)
    """How many it has, in billions. Only for a warning where a student has far fewer, or more."""
    generation: int = Field(default=0, ge=0, le=1_000)
    """0: no student; n: it was itself trained on what models of the order n - 1 wrote."""
    api: Literal["chat", "responses"] = "chat"
    """openai: which of its APIs is asked, chat completions or Responses."""
    base_url: Address | None = None
    """The server's address up to /v1."""
    api_key_env: Variable | None = None
    """The environment variable that holds the key. The key itself is written nowhere."""
    path: PathText | None = None
    """replay: the file of recorded answers. local: a GGUF file in place of the embedded model."""
    simulate: SimulateOptions | None = None
    """simulate: how it behaves."""
    transformers: TransformersOptions | None = None
    """transformers: where and how it runs."""
    timeout_s: float = Field(default=600, gt=0)
    """Seconds for one request, from sending to the whole response."""
    limits: LimitOptions = LimitOptions()
    """What it may be asked for."""
    replicas: tuple[ReplicaOptions, ...] = ()
    """Several servers or accounts that give this very model, each with its own limits; the one with the least to do is asked."""
    price: PriceOptions | None = None
    """What it costs. Left out: unknown."""
    retry: RetryOptions = RetryOptions()
    """How often it is asked again."""
    samples_per_request: int = Field(default=1, ge=1, le=128)
    """Samples that one request asks for (`n`), where the server honours it."""
    batch: BatchOptions | None = None
    """openai-batch, anthropic-batch: how requests are gathered."""
    draw: bool = True
    """false: it draws no samples, and is there to judge."""
    extra_body: dict[str, Any] = {}
    """Anything else that is sent with each request; it is a part of the sample's identity. A null takes a parameter out."""

    @property
    def batched(self) -> bool:
        """Whether it asks through batches: a provider's name says so."""
        return self.provider.endswith(BATCH)

    @property
    def vendor(self) -> str:
        """Who answers, by whichever way: a part of the sample's identity, and the way isn't."""
        return self.provider.removesuffix(BATCH)

    @property
    def side_by_side(self) -> int:
        """Return how many requests to have ready: twice what may be asked one by one, or all of the batches."""
        batch = self.batch or BatchOptions()
        return batch.requests * batch.side_by_side if self.batched else 2 * self.limits.most

    @property
    def paid(self) -> PriceOptions | None:
        """What it costs by the way that it is asked; None where that is unknown."""
        return self.price.batched() if self.price is not None and self.batched else self.price

    @model_validator(mode="after")
    def _batches(self) -> Self:
        if self.batch is not None and not self.batched:
            raise ValueError(f"batch: provider {self.provider!r} asks one by one; leave it out, or name a provider with batches")
        if self.batched and "retry" in {self.retry.length, self.retry.refusal}:
            raise ValueError("retry: a batch's answers are bought once; let length and refusal be keep or reject")
        if self.batched and self.replicas:
            raise ValueError("replicas: batches are asked for at one place; leave them out")
        if self.batched and self.limits != LimitOptions():
            raise ValueError("limits: they are for what is asked one by one; leave them out, and bound batches by batch.requests")
        return self

    @property
    def lines(self) -> list[TeacherOptions]:
        """Return the options of each replica, or of the teacher alone."""
        found = []
        for replica in self.replicas or (ReplicaOptions(),):
            own = {name: value for name, value in replica if value is not None}
            found.append(self.model_copy(update={**own, "replicas": ()}))
        return found

    @field_validator("extra_body")
    @classmethod
    def _sendable(cls, body: dict[str, Any]) -> dict[str, Any]:
        taken = sorted({"model", "messages", "n", "stream"} & body.keys())
        if taken:
            raise ValueError(f"must not have {taken[0]!r}: that is decided elsewhere in the spec")
        try:
            orjson.dumps(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"isn't JSON: {error}") from None
        if orjson.loads(orjson.dumps(body)) != body:
            raise ValueError("isn't JSON: write dates and times as texts")
        return body
