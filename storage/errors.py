"""Every error that stillhouse raises on purpose.

    StillhouseError
    ├── UserError                   the user can mend it: one line on stderr, and `exit_code`
    │   ├── SpecError          2    the spec or an option is wrong
    │   ├── SourceError        2    an input file is wrong
    │   ├── SetupError         2    a program, package, key or server that the spec needs isn't there
    │   ├── StorageError       2    the lake is locked, full, or can't be read or written
    │   │   ├── LakeDamaged    2    a file of it is damaged; `stillhouse doctor --repair` mends it
    │   │   └── LeaseLost      2    another machine has taken the lake over; a rerun goes on
    │   ├── LicenseRefused     3    the licence gate said no
    │   ├── GuardRefused       3    the guard said no: a dataset would feed on what was generated
    │   ├── BudgetSpent        4    a rerun with a larger budget goes on
    │   ├── CostRefused        4    nobody approved of what it may cost; nothing more was spent
    │   ├── TeacherDown        5    a teacher stayed unavailable; a rerun goes on
    │   │   └── QuotaSpent      5    it may not be asked any more today; a rerun goes on tomorrow
    │   └── Interrupted      130    SIGINT or SIGTERM; a rerun goes on
    ├── TeacherError                one request failed; it becomes the outcome of its sample slots
    │   ├── RateLimited             429: nothing was done or billed; retried
    │   ├── Unavailable             5xx, 408, 409, 421, 423, 424, 425, 499, a time limit, what broke off; retried
    │   │   ├── Unreachable         no connection at all; retried
    │   │   ├── TimedOut            no answer within the time limit; retried
    │   │   └── Overloaded          503 and 529: too much to do just now; retried
    │   ├── BadResponse             malformed; retried
    │   │   └── EmptyResponse       empty; retried
    │   ├── Unwanted                a response that the spec asks for again; retried
    │   ├── RequestRejected         the request itself is at fault (400, 413, 422); not retried
    │   └── Withheld                never sent, since the run stops
    └── VerifierError               one sample could not be judged; it becomes an undecided verdict

Anything else that is raised is a defect of ours: a traceback and exit code 1.
"""

from __future__ import annotations

from typing import ClassVar


class StillhouseError(Exception):
    """The root of the tree above."""


class UserError(StillhouseError):
    """Something that the user can mend. Its text is one line that names the place and what to do."""

    exit_code: ClassVar[int] = 2


class SpecError(UserError):
    """The spec or an option is wrong. Nothing was spent."""


class SourceError(UserError):
    """An input file is wrong. Nothing was spent."""


class SetupError(UserError):
    """A program, package, key or server that the spec needs is missing or refuses us."""


class StorageError(UserError):
    """The lake can't be read or written as it is."""


class LakeDamaged(StorageError):
    """A file of the lake isn't what was written. Its text names the command that mends it.

    `why` is the text without place and command.
    """

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place}: {why}; `stillhouse doctor --repair` with this --lake mends it and keeps what can be read")
        self.why = why


class LeaseLost(StorageError):
    """Another machine has taken over a lake on an object store. What was paid for stays in the working copy until a rerun."""


class LicenseRefused(UserError):
    """The licence gate refused a prompt source or a teacher."""

    exit_code: ClassVar[int] = 3


class GuardRefused(UserError):
    """The guard said no: the dataset would feed on what was generated."""

    exit_code: ClassVar[int] = 3


class BudgetSpent(UserError):
    """The spec's budget is spent. What was paid for is landed."""

    exit_code: ClassVar[int] = 4


class CostRefused(UserError):
    """Nobody approved of what a build may cost. Nothing was spent."""

    exit_code: ClassVar[int] = 4


class TeacherDown(UserError):
    """A teacher stayed unavailable. What was paid for is landed."""

    exit_code: ClassVar[int] = 5


class QuotaSpent(TeacherDown):
    """What a teacher may be asked in a day is used. What was paid for is landed."""


class Interrupted(UserError):
    """SIGINT or SIGTERM. What was paid for is landed."""

    exit_code: ClassVar[int] = 130


class TeacherError(StillhouseError):
    """One request to a teacher failed.

    `retry_after_s` is for how long the server asks to wait, where it does. `attempts` is how often it was tried in all; the retry
    policy sets it before it gives up.
    """

    retryable: bool = False
    """Whether the like passes. Of a single one the server may say otherwise."""
    unanswered: bool = False
    """Whether the request was sent whole, and no answer seen: it may have been billed."""
    by_itself: bool = False
    """Whether the server is known to answer others, so that asking this again is of no use."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, attempts: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.attempts = attempts


class RateLimited(TeacherError):
    """The server has had enough requests for now. Nothing was done or billed."""

    retryable: bool = True


class Unavailable(TeacherError):
    """An error of the server's own, no answer within the time limit, or a connection that broke. It may have been billed."""

    retryable: bool = True


class Unreachable(Unavailable):
    """No connection at all: nobody is there to ask."""


class TimedOut(Unavailable):
    """The server gave no answer within the time limit."""

    unanswered: bool = True


class Overloaded(Unavailable):
    """The server has too much to do just now."""


class BadResponse(TeacherError):
    """The server answered with something that is no response."""

    retryable: bool = True


class EmptyResponse(BadResponse):
    """The server answered with a response that says nothing."""


class Unwanted(TeacherError):
    """The server answered with a response that the spec's `retry` wants to be asked for again."""

    retryable: bool = True


class RequestRejected(TeacherError):
    """The server will not answer this request, however often it is asked."""


class Withheld(TeacherError):
    """The request was not sent: the run stops, or the budget is spent."""


class VerifierError(StillhouseError):
    """One sample could not be judged; the text says why."""
