"""A teacher that reads its answers from a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from storage.errors import RequestRejected, SourceError, SpecError
from storage.records import Message
from tasks.teachers.protocol import Choice, Completion
from tasks.teachers.replay import ReplayTeacher, make
from tests.fakes import make_options, make_request, user


def write(folder: Path, *rows: Any) -> Path:
    """Write rows, or lines where they are bytes."""
    path = folder / "replay.jsonl"
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return path


async def ask(path: Path, **request: Any) -> Completion:
    """Ask a teacher of this file once."""
    teacher = ReplayTeacher(path=path)
    try:
        return await teacher.complete(make_request(**request))
    finally:
        await teacher.aclose()


class TestAnswers:
    """What it says."""

    @pytest.mark.parametrize(
        "row",
        [
            {"prompt_id": "p", "responses": ["4"]},
            {"prompt_id": "p", "response": "4"},
            {"prompt": "2+2?", "responses": ["4"]},
            {"prompt": "2+2?", "response": "4"},
            {"prompt_id": "p", "prompt": "not this", "responses": [{"response": "4"}]},
        ],
        ids=json.dumps,
    )
    async def test_forms(self, tmp_path: Path, row: dict[str, Any]):
        """A line names its prompt by id or by text, and gives one response or several."""
        found = await ask(write(tmp_path, row), prompt_id="p", messages=user("2+2?"))
        assert found == Completion(choices=(Choice(response="4"),), tokens_in=0, tokens_out=0)

    async def test_last_turn(self, tmp_path: Path):
        """The text is the last user turn as it is sent, whatever came before."""
        messages = (
            Message(role="system", content="Be brief."),
            *user("Hi"),
            Message(role="assistant", content="Hi"),
            *user("2+2?"),
        )
        found = await ask(write(tmp_path, {"prompt": "2+2?", "response": "4"}), messages=messages)
        assert found.choices[0].response == "4"

    async def test_id_before_text(self, tmp_path: Path):
        """Where both are known, the id counts."""
        path = write(tmp_path, {"prompt": "2+2?", "response": "text"}, {"prompt_id": "p", "response": "id"})
        assert (await ask(path, prompt_id="p", messages=user("2+2?"))).choices[0].response == "id"

    @pytest.mark.parametrize(("index", "n", "expected"), [(0, 1, "a"), (1, 1, "b"), (0, 3, "abc"), (1, 5, "bc")])
    async def test_by_index(self, tmp_path: Path, index: int, n: int, expected: str):
        """A sample has the answer of its index; a request for several gets as many as there are."""
        found = await ask(
            write(tmp_path, {"prompt_id": "p", "responses": ["a", "b", "c"]}), prompt_id="p", sample_index=index, n=n
        )
        assert [choice.response for choice in found.choices] == list(expected)

    async def test_full_answer(self, tmp_path: Path):
        """An answer may say its reasoning, its end and its tokens; tokens are summed."""
        one = {"response": "4", "reasoning": "two", "finish_reason": "length", "tokens_in": 5, "tokens_out": 7}
        found = await ask(write(tmp_path, {"prompt_id": "p", "responses": [one, one, "5"]}), prompt_id="p", n=3)
        full = Choice(response="4", reasoning="two", finish_reason="length")
        assert found == Completion(choices=(full, full, Choice(response="5")), tokens_in=10, tokens_out=14)

    async def test_think_tags(self, tmp_path: Path):
        """A recorded text is split as a server's would be."""
        found = await ask(write(tmp_path, {"prompt_id": "p", "response": "<think>two</think>4"}), prompt_id="p")
        assert found.choices == (Choice(response="4", reasoning="two"),)

    async def test_logprobs(self, tmp_path: Path):
        """Recorded distributions are in the form of chat completions, and are for who asks for them."""
        content = [{"token": "4", "logprob": -0.5, "top_logprobs": [{"token": "5", "logprob": -1.5}]}]
        path = write(tmp_path, {"prompt_id": "p", "response": "4", "logprobs": {"content": content}})
        (without,) = (await ask(path, prompt_id="p")).choices
        (found,) = (await ask(path, prompt_id="p", parameters={"logprobs": True, "top_logprobs": 1})).choices
        assert without.logprobs is None
        assert found.logprobs is not None
        assert (found.logprobs.tokens, found.logprobs.top_tokens) == ((b"4",), (b"5",))

    async def test_malformed_logprobs(self, tmp_path: Path):
        """Recorded distributions that are none are a rejected request, which names the file and the prompt."""
        path = write(tmp_path, {"prompt_id": "p", "response": "4", "logprobs": {"content": [{"token": "4"}]}})
        with pytest.raises(RequestRejected, match=r"replay\.jsonl has an answer that can't be used: prompt p: logprobs: "):
            await ask(path, prompt_id="p", parameters={"logprobs": True, "top_logprobs": 1})

    async def test_unknown_prompt(self, tmp_path: Path):
        """A prompt without an answer is a rejected request: asking again would not help."""
        path = write(tmp_path, {"prompt_id": "p", "response": "4"})
        with pytest.raises(RequestRejected, match=r"replay\.jsonl has no answer: prompt q$"):
            await ask(path, prompt_id="q")

    async def test_not_enough(self, tmp_path: Path):
        """So is an index beyond what was recorded."""
        path = write(tmp_path, {"prompt_id": "p", "responses": ["a", "b"]})
        with pytest.raises(RequestRejected, match=r"has 2 answers, and not more: prompt p$"):
            await ask(path, prompt_id="p", sample_index=2)

    async def test_many_lines(self, tmp_path: Path):
        """Each line is found by its offset, whatever stands before it."""
        path = write(tmp_path, b"", *({"prompt_id": f"p{n}", "response": f"ä{n}" * n} for n in range(1, 300)), b"  ")
        teacher = ReplayTeacher(path=path)
        for n in (299, 1, 150):
            assert (await teacher.complete(make_request(f"p{n}"))).choices[0].response == f"ä{n}" * n
        await teacher.aclose()


class TestIdentity:
    """Other answers are other samples."""

    async def test_checksum(self, tmp_path: Path):
        """The file's content is a part of the samples' identity; its name isn't."""
        path = write(tmp_path, {"prompt_id": "p", "response": "4"})
        teacher = ReplayTeacher(path=path)
        assert teacher.identity == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        await teacher.aclose()


WRONG = {
    "broken JSON": (b"{", "not JSON: "),
    "a list": ([], "a line must be a JSON object"),
    "no prompt": ({"response": "4"}, "needs `prompt_id` or `prompt`, a text"),
    "a prompt that is a number": ({"prompt_id": 4, "response": "4"}, "needs `prompt_id` or `prompt`, a text"),
    "no response": ({"prompt_id": "p"}, "needs `responses`"),
    "no responses": ({"prompt_id": "p", "responses": []}, "needs `responses`"),
    "responses that are a text": ({"prompt_id": "p", "responses": "four"}, "needs `responses`"),
    "a number among them": ({"prompt_id": "p", "responses": ["4", 4]}, "needs `responses`"),
    "an object without one": ({"prompt_id": "p", "responses": [{"reasoning": "two"}]}, "needs `responses`"),
    "a response that is null": ({"prompt_id": "p", "response": None}, "needs `responses`"),
    "reasoning that is a list": ({"prompt_id": "p", "responses": [{"response": "4", "reasoning": ["two"]}]}, "needs `responses`"),
    "tokens that are a text": ({"prompt_id": "p", "responses": [{"response": "4", "tokens_in": "many"}]}, "needs `responses`"),
    "the same prompt again": ({"prompt_id": "first", "response": "5"}, "has the same prompt as "),
}


@pytest.mark.parametrize(("row", "message"), WRONG.values(), ids=WRONG)
def test_wrong_line(tmp_path: Path, row: Any, message: str):
    """A line that can't be understood is named before anything is asked."""
    path = write(tmp_path, {"prompt_id": "first", "response": "4"}, row)
    with pytest.raises(SourceError) as caught:
        ReplayTeacher(path=path)
    assert str(caught.value).startswith(f"{path}:2: {message}")


def test_missing_file(tmp_path: Path):
    """A file that isn't there is named."""
    with pytest.raises(SourceError, match=r"nowhere\.jsonl: no such file \(looked in "):
        ReplayTeacher(path=tmp_path / "nowhere.jsonl")


def test_no_path():
    """A spec that names no file is told so."""
    with pytest.raises(SpecError, match=r"^teacher 'smol': provider replay needs `path`"):
        make(make_options(provider="replay"), api_key=None)
