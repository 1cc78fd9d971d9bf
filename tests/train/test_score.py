"""Scoring by a model's folder: a tiny model, for real."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from storage.errors import RequestRejected, SetupError
from storage.records import Logprobs
from tasks.score.answers import Answer, Shown
from tasks.score.folder import FolderScorer, make
from tests.fakes import make_options, user
from tests.tasks.exporters import students
from tests.train.test_training import tiny

pytestmark = pytest.mark.train
TURNS = user("What is two plus two?")


def opened(folder: Path) -> FolderScorer:
    """Return the scorer that a spec would have."""
    return make(make_options(provider="transformers", model=str(folder), transformers={"batch": 4}), api_key=None)


@pytest.fixture
async def scorer(original: Path) -> AsyncIterator[FolderScorer]:
    """Open the scorer, on batches of four."""
    made = opened(original)
    yield made
    await made.aclose()


def generated(folder: Path, tokens: int) -> tuple[list[int], list[list[float]]]:
    """Have the model write greedily with a cache, a token at a time, and return ids and whole distributions."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": TURNS[0].content}], add_generation_prompt=True, tokenize=False
    )
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    whole = model.generate(
        ids, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, output_logits=True, return_dict_in_generate=True
    )
    logprobs = [step[0].double().log_softmax(-1).tolist() for step in whole.logits]
    return whole.sequences[0, ids.shape[1] :].tolist(), logprobs


async def test_equal_to_what_was_generated(original: Path, scorer: FolderScorer):
    """Tokens that are scored have the log-probabilities that they were generated with, to 1e-5 nats, alternatives too."""
    ids, logprobs = generated(original, 8)
    tokenizer = AutoTokenizer.from_pretrained(original)
    response = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    own = tokenizer(response, add_special_tokens=False)["input_ids"]
    found = (await scorer.score(TURNS, Answer(response=response), 4)).logprobs
    assert found.ids == (*own, tokenizer.eos_token_id)
    same = next((place for place, pair in enumerate(zip(own, ids, strict=False)) if pair[0] != pair[1]), min(len(own), len(ids)))
    assert same > 0  # a model at random may write what its tokenizer would write otherwise
    for place in range(same):
        assert found.logprobs[place] == pytest.approx(logprobs[place][ids[place]], abs=1e-5)
        best = sorted(logprobs[place], reverse=True)[:4]
        assert list(found.top_logprobs[4 * place : 4 * place + 4]) == pytest.approx(best, abs=1e-5)


def _close(one: Logprobs, other: Logprobs) -> None:
    assert one.ids == other.ids
    assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    assert one.rest == pytest.approx(other.rest, abs=1e-5)


async def test_beside_others(scorer: FolderScorer):
    """What a response is scored beside doesn't matter, however long that is."""
    texts = ["4", "two plus two is four " * 5, "The answer is 4.", "4!", "It is four."]
    together = await asyncio.gather(*(scorer.score(TURNS, Answer(response=text), 3) for text in texts))
    for text, found in zip(texts, together, strict=True):
        _close(found.logprobs, (await scorer.score(TURNS, Answer(response=text), 3)).logprobs)


async def test_mass(scorer: FolderScorer):
    """Alternatives and the rest are all there is; with the whole vocabulary nothing is left."""
    found = (await scorer.score(TURNS, Answer(response="zebra"), 5)).logprobs
    for place, own in enumerate(found.logprobs):
        assert found.top_ids is not None
        assert found.ids is not None
        tops = dict(zip(found.top_ids[5 * place : 5 * place + 5], found.top_logprobs[5 * place : 5 * place + 5], strict=True))
        mass = sum(map(math.exp, (tops | {found.ids[place]: own}).values()))
        assert mass + found.rest[place] == pytest.approx(1)
    whole = (await scorer.score(TURNS, Answer(response="zebra"), 1_000_000)).logprobs
    assert whole.rest == pytest.approx((0.0,) * len(whole), abs=1e-9)


def conditional(folder: Path, prompt: str, said: str) -> list[float]:
    """Return the log-probabilities that the model gives to a text behind another, by one pass over both."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    before, own = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, said))
    with torch.inference_mode():
        logprobs = model(torch.tensor([before + own])).logits[0].double().log_softmax(-1)
    return [logprobs[len(before) + place - 1, token].item() for place, token in enumerate(own)]


@pytest.mark.parametrize(
    ("template", "shown", "said"),
    [
        (students.CHATML, "omit", "It is four.<|im_end|>"),
        (students.CHATML, "think", "<think>\nTwo.\n</think>\n\nIt is four.<|im_end|>"),
        (students.THINKING, "turn", "<think>\nTwo.\n</think>\n\nIt is four.<|im_end|>"),
        (students.OPENED, "omit", "It is four.<|im_end|>"),
        (students.OPENED, "think", "<think>\nTwo.\n</think>\n\nIt is four.<|im_end|>"),
        ("{% for message in messages %}{{ message['content'] }}\n{% endfor %}", "omit", "It is four.<|im_end|>"),
    ],
)
async def test_reasoning_and_the_end(original: Path, tmp_path: Path, template: str, shown: Shown, said: str):
    """What a student is trained on is what is scored: reasoning in its form, and the end of the turn, which training appends."""
    folder = tmp_path / "model"
    shutil.copytree(original, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    scorer = opened(folder)
    found = await scorer.score(TURNS, Answer.of("It is four.", "Two.", shown), 2)
    await scorer.aclose()
    asked = [{"role": "user", "content": TURNS[0].content}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False).removesuffix("<think>\n")
    assert (found.ended, tokenizer.decode(found.logprobs.ids, clean_up_tokenization_spaces=False)) == (True, said)
    assert found.logprobs.logprobs == pytest.approx(conditional(folder, prompt, said), abs=1e-5)


async def test_a_template_without_reasoning(original: Path):
    """Where the template leaves out the reasoning that it is to write, one line says so."""
    scorer = opened(original)
    with pytest.raises(RequestRejected, match="leaves out or changes the reasoning; use `--reasoning think`"):
        await scorer.score(TURNS, Answer.of("It is four.", "Two.", "turn"), 2)
    await scorer.aclose()


async def test_too_long(scorer: FolderScorer):
    """A response that the model can't read is refused, and disturbs no neighbour."""
    long, short = await asyncio.gather(
        scorer.score(TURNS, Answer(response="four " * 300), 1),
        scorer.score(TURNS, Answer(response="4"), 1),
        return_exceptions=True,
    )
    assert isinstance(long, RequestRejected)
    assert "the model reads 256 at once" in str(long)
    assert not isinstance(short, BaseException)


async def test_changed_meanwhile(original: Path, tmp_path: Path):
    """A folder that changes between the run's start and the model's load isn't what the fingerprint says: the run stops."""
    other = tmp_path / "model"
    students.small(other)
    tiny(vocab_size=len(AutoTokenizer.from_pretrained(other)), max_position_embeddings=256).save_pretrained(other)
    scorer, same = opened(other), opened(original)
    assert scorer.identity != {} != same.identity
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    with pytest.raises(SetupError, match="has changed since the run began"):
        await scorer.score(TURNS, Answer(response="4"), 1)
    await scorer.aclose()
    await same.aclose()
