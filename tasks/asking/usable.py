"""What of a response can be used: texts and numbers that every table can hold, and choices that say something."""

from __future__ import annotations

import re
from dataclasses import fields, replace

from storage.errors import BadResponse, EmptyResponse, SetupError
from storage.records import CUT_OFF, REFUSED
from tasks.teachers.protocol import Choice, Completion, Request, Usage

INT32_MAX = 2**31 - 1
"""What the samples table can hold: a server that miscounts must not make a response that can't be stored."""
EMPTY = "the response is empty"
"""What is said where there is nothing to use: a slot that ends so was answered, with nothing."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKENS = tuple(field.name for field in fields(Usage))


def billable(usage: Usage) -> Usage:
    """Return what a response is billed for, in numbers that the tables can hold."""
    return Usage(**_numbers(usage))


def _numbers(usage: Usage) -> dict[str, int]:
    return {name: min(max(getattr(usage, name), 0), INT32_MAX) for name in _TOKENS}


def usable(completion: Completion, n: int) -> Completion:
    """Return a response without what no table can hold, and with `n` samples at most. Raise EmptyResponse where there is none."""
    choices = tuple(choice for choice in map(_clean, completion.choices) if _says_something(choice))
    if not choices:
        raise EmptyResponse(EMPTY)
    return Completion(choices=choices[:n], allowance=completion.allowance, revision=completion.revision, **_numbers(completion))


class Distributions:
    """Whether a teacher gives the distributions that it is asked for. Its first response with a text tells."""

    def __init__(self) -> None:
        self._given = False

    def check(self, completion: Completion, request: Request) -> Completion:
        """Return a response without choices that lack their distributions, where these were asked for.

        Raise BadResponse where that leaves none, and SetupError where no response has had any so far: each further one would be
        paid for in vain.
        """
        if not request.parameters.get("logprobs"):
            return completion
        whole = tuple(choice for choice in completion.choices if not _lacks_logprobs(choice))
        self._given = self._given or any(choice.logprobs for choice in whole)
        if whole:
            return completion if len(whole) == len(completion.choices) else replace(completion, choices=whole)
        if self._given:
            raise BadResponse("the response has no log-probabilities, which other responses had")
        raise SetupError(
            "sampling.logprobs: the first response came without any alternatives, so every one would be paid for in vain; "
            "leave it out, or ask a server that gives them"
        )


def _lacks_logprobs(choice: Choice) -> bool:
    if choice.logprobs is not None:
        return not choice.logprobs.top_logprobs
    return bool(choice.response.strip()) and choice.finish_reason not in REFUSED


def _says_something(choice: Choice) -> bool:
    """Whether asking again would only buy the same again.

    So it is with reasoning that came to no answer, with a refusal, and with a response that was cut off before its first visible
    word, since the reasoning, shown or not, took all of `max_tokens`.
    """
    thought = choice.reasoning or choice.reasoning_blocks
    return bool(choice.response.strip() or thought or choice.finish_reason in CUT_OFF | REFUSED)


def _clean(choice: Choice) -> Choice:
    """Put U+FFFD in place of lone surrogates, which JSON can carry and UTF-8 (the journal, Parquet) can't.

    Reasoning of nothing but white space, which servers give where a model was told not to think, is none.
    """
    if choice.reasoning is not None and not choice.reasoning.strip():
        choice = replace(choice, reasoning=None)
    texts = [choice.response, choice.reasoning or "", choice.finish_reason]
    if all(text.isascii() or _encodes(text) for text in texts):
        return choice
    response, reasoning, finish = (_SURROGATE.sub("\ufffd", text) for text in texts)
    return replace(choice, response=response, reasoning=reasoning or None, finish_reason=finish)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
