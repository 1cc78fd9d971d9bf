"""No teacher's error quotes its key, whoever wrote it."""

from __future__ import annotations

import traceback

import pytest

from storage.errors import BadResponse, RateLimited, SetupError
from tasks.teachers.discreet import Discreet
from tasks.teachers.protocol import Completion, Request
from tests.fakes import FakeTeacher, make_request

KEY = "sk-canary"


def raising(error: Exception) -> Discreet:
    """Return a teacher that raises, caused by something that quotes the key."""

    def answer(request: Request) -> Completion:
        raise error from ValueError(f"authorization: Bearer {KEY}")

    return Discreet(FakeTeacher(answer=answer), KEY)


async def caught(error: Exception) -> Exception:
    """Return what comes of an error."""
    with pytest.raises(Exception) as raised:
        await raising(error).complete(make_request())
    assert KEY not in "".join(traceback.format_exception(raised.value))
    return raised.value


@pytest.mark.parametrize("kind", [BadResponse, SetupError, RateLimited])
async def test_our_errors_keep_their_class(kind: type[Exception]) -> None:
    """An error of the tree stays what it is, less the key, in its text and in what caused it."""
    error = await caught(kind(f"the server says {KEY} is wrong"))
    assert (type(error), str(error)) == (kind, "the server says *** is wrong")


async def test_what_an_error_carries_stays() -> None:
    """How long to wait is kept."""
    error = await caught(RateLimited(KEY, retry_after_s=7))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 7


async def test_a_defect_stays_a_defect() -> None:
    """A plug-in's defect keeps its traceback as a text, so that its author can find it."""
    error = await caught(LookupError(f"no {KEY}"))
    assert type(error) is RuntimeError
    assert "LookupError: 'no ***'" in str(error) or "LookupError: no ***" in str(error)
    assert "in answer" in str(error)


async def test_other_errors_pass(caplog: pytest.LogCaptureFixture) -> None:
    """An error without the key is left as it is."""

    def answer(request: Request) -> Completion:
        raise LookupError("elsewhere")

    with pytest.raises(LookupError, match="elsewhere"):
        await Discreet(FakeTeacher(answer=answer), KEY).complete(make_request())


async def test_is_the_teacher_otherwise() -> None:
    """Answers, identity and closing are the teacher's; the key isn't in its text."""
    teacher = FakeTeacher(identity={"a": 1})
    discreet = Discreet(teacher, KEY)
    assert (await discreet.complete(make_request("hello"))).choices[0].response == "hello #0"
    assert discreet.identity == {"a": 1}
    await discreet.aclose()
    assert teacher.closed
    assert KEY not in repr(discreet)
