"""What the batch teachers share that ask through a provider's own SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from storage.errors import BadResponse
from tasks.teachers.bodies import MALFORMED
from tasks.teachers.sdk import SdkTeacher


@contextlib.contextmanager
def understood(one: SdkTeacher) -> Iterator[None]:
    """Raise the SDK's errors as ours, and what can't be read as BadResponse.

    An SDK takes what a proxy puts in place of an answer for one: what is read of it must be read within. Whatever was asked may
    have been done.
    """
    try:
        with one.explained():
            yield
    except MALFORMED as error:
        said = f"{one.base_url} answers with something that isn't of its batches: {type(error).__name__}: {error}"
        raise BadResponse(one.line(said)) from None
