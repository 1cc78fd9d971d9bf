"""The whole way with distributions: asked for, stored once, shown, planned for; and a server that gives none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion, counting

pytestmark = pytest.mark.slow
SHARE = math.log(0.25)


def likely(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer as an OpenAI server does that gives alternatives where it is asked for them."""
    assert body["logprobs"] is True
    words = ["The answer is ", str(sold % 3)]
    top = [{"token": str(number), "bytes": [48 + number], "logprob": SHARE} for number in range(body["top_logprobs"])]
    document = completion(["".join(words)])
    document["choices"][0]["logprobs"] = {
        "content": [{"token": word, "bytes": list(word.encode()), "logprob": SHARE, "top_logprobs": top} for word in words]
    }
    return 200, document


def prepare(workplace: Workplace, url: str, logprobs: int) -> None:
    """Write a spec that asks for alternatives."""
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(6), "license": "MIT"}],
        "teachers": [workplace.teacher(url, limits={"concurrency": 1})],  # in order, since answers are right by their number
        "sampling": {"logprobs": logprobs},
        "verify": [{"use": "exact_match", "kind": "number"}],
        "dedup": {"exact": False},
    }


def test_whole_way(workplace: Workplace) -> None:
    """They land beside the response, a rerun buys nothing, and the same prompts without them are other samples."""
    with LoopbackTeacher(likely) as teacher:
        prepare(workplace, teacher.url, 3)
        planned = json.loads(workplace.run("plan", str(workplace.write()), "--lake", str(workplace.lake), "--json").stdout)
        first, again = workplace.build(), workplace.build()
        assert len(teacher.bodies) == 6
    assert planned["logprobs_bytes"] > 0
    assert (first["paid"], first["failed"], again["paid"], again["reused"]) == (6, 0, 0, 6)
    rows = workplace.query(
        "SELECT logprobs.tokens, logprobs.ids, logprobs.counts, logprobs.top_logprobs, logprobs.rest FROM samples"
    )
    assert len(rows) == 6
    for tokens, ids, counts, top, rest in rows:
        assert b"".join(tokens).startswith(b"The answer is ")
        assert (ids, counts, len(top)) == (None, [3, 3], 6)
        assert rest == [0.0, pytest.approx(0.25)]
    shown = workplace.run("show", "sums", "--lake", str(workplace.lake))
    assert "logprobs: 2 tokens with 3 alternatives each, 12.5% outside them; perplexity 4" in shown.stdout
    with LoopbackTeacher(counting) as teacher:
        prepare(workplace, teacher.url, 0)
        assert workplace.build()["paid"] == 6
    assert workplace.query("SELECT count(*), count(logprobs) FROM samples") == [(12, 6)]


def test_server_without_them(workplace: Workplace) -> None:
    """A server that ignores what is asked for is paid once or so, and one line says what to do."""
    with LoopbackTeacher(counting) as teacher:
        prepare(workplace, teacher.url, 3)
        workplace.spec["teachers"][0]["limits"] = {"concurrency": 1}
        done = workplace.run("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        assert len(teacher.bodies) == 1
    assert done.returncode == 2
    assert "teacher 't': sampling.logprobs: " in done.stderr
    assert "leave it out" in done.stderr
