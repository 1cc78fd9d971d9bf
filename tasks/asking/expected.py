"""How many tokens a teacher's answers take, as far as those that have come tell."""

from __future__ import annotations

import asyncio

from tasks.teachers.protocol import Request, Usage

MEMORY = 1_000
"""Responses after which a mean moves on: later ones may be longer."""


class Expected:
    """What the answers of one teacher, on all of its lines, are expected to take."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._seen, self._mean_out, self._mean_s = 0, 0.0, 0.0
        self._flying, self._began = 0, 0.0
        self._in, self._about_in = 0, 0

    def sent(self, at: float) -> None:
        """Hear of a request that is under way since then, on the loop's clock."""
        self._flying += 1
        self._began += at

    def ended(self, sent_at: float) -> None:
        """Hear that one isn't any more."""
        self._flying -= 1
        self._began -= sent_at

    def learn(self, request: Request, usage: Usage, choices: int, latency_s: float) -> None:
        """Take note of an answer to a request."""
        self._seen += 1
        self._in += usage.tokens_in
        self._about_in += request.about_in + 1
        weight = 1 / min(self._seen, MEMORY)
        self._mean_out += weight * (usage.tokens_out / choices - self._mean_out)
        self._mean_s += weight * (max(latency_s, 1e-3) - self._mean_s)

    def tokens(self, request: Request) -> int:
        """Return the tokens that a request will use, in and out, by what the others used.

        The first to be done are the shortest. So what those under way have got by now, at the others' speed, counts as well: the
        estimate of an exponential distribution's mean from censored observations. The most that a request may use counts as one
        more answer: it is all that is known at first, and soon weighs little.
        """
        most = request.most_out
        out = float(most)
        if self._seen:
            ages = self._flying * asyncio.get_running_loop().time() - self._began
            known, under_way = min(self._seen, MEMORY), ages * self._mean_out / self._mean_s
            out = min((known * self._mean_out + under_way + most) / (known + 1), max(most, 2 * self._mean_out))
        return request.about_in + round(request.n * out)

    def usage(self, request: Request) -> Usage:
        """Return what a request will be billed for where nobody ever says: in as the others' prompts, out as their answers.

        Nobody bills more than `max_tokens`, where that is said and kept to.
        """
        about_in = request.about_in
        tokens_in = round((about_in + 1) * self._in / self._about_in) if self._about_in else about_in
        out = self.tokens(request) - about_in
        if request.parameters.get("max_tokens"):
            out = min(out, round(request.n * max(request.most_out, self._mean_out)))
        return Usage(tokens_in=tokens_in, tokens_out=out)
