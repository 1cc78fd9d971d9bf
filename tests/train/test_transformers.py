"""The teacher that asks a model's folder: a tiny model, for real."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from storage.errors import RequestRejected, SetupError
from storage.records import Message
from tasks.teachers.asks import Ask, How
from tasks.teachers.decoding import Model
from tasks.teachers.transformers import TransformersTeacher, make
from tasks.vocabulary import Vocabulary
from tests.fakes import make_options, make_request
from tests.flows.test_evaluating import evaluate
from tests.tasks.exporters import students
from tests.tasks.teachers.test_conformance import TestTeacher  # noqa: F401 - what every teacher must do is tried on this one

pytestmark = pytest.mark.train
SAMPLED = {"max_tokens": 12, "temperature": 1.0, "seed": 5}


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """Have a copy that a test may change."""
    return Path(shutil.copytree(original, tmp_path / "model"))


def opened(folder: Path, **options: Any) -> TransformersTeacher:
    """Return the teacher that a spec would have."""
    return make(make_options(provider="transformers", model=str(folder), **options), api_key=None)


@pytest.fixture
async def teacher(original: Path) -> AsyncIterator[TransformersTeacher]:
    """Open the teacher, on batches of four."""
    made = opened(original, transformers={"batch": 4})
    yield made
    await made.aclose()


def model(folder: Path) -> Model:
    """Load the model without a teacher around it."""
    return Model(folder, device="cpu", dtype="auto", template={})


def ask(text: str = "What is two plus two?", *, seed: int | None = 0, max_tokens: int | None = 8) -> Ask:
    """Return an ask that nobody drops."""
    return Ask(messages=(Message(role="user", content=text),), max_tokens=max_tokens, seed=seed, dropped=lambda: False)


def how(temperature: float = 1.0, top_p: float = 1.0, stop: tuple[str, ...] = (), top: int = 0) -> How:
    """Return how to sample."""
    return How(temperature=temperature, top_p=top_p, stop=stop, top=top)


def never() -> bool:
    """Halt nothing."""
    return False


def first_distribution(folder: Path, text: str) -> torch.Tensor:
    """Return the model's probabilities of an answer's first token, by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False)
    tokens = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder)(tokens).logits[0, -1].softmax(-1)


def by_hand(folder: Path, text: str, answer: Sequence[int]) -> list[list[float]]:
    """Return the logits at each token of an answer, by transformers alone, alone and without padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False)
    tokens = [*tokenizer(prompt, add_special_tokens=False)["input_ids"], *answer]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([tokens])).logits[0]
    return logits[len(tokens) - len(answer) - 1 : -1].tolist()


class TestAnswers:
    """What it answers."""

    async def test_beside_others(self, teacher: TransformersTeacher):
        """A seeded answer is the same whatever it is decoded beside, and several of one request are those asked one by one."""
        alone = await teacher.complete(make_request(parameters=SAMPLED))
        texts = ["Think step by step.", "What is 2 + 2?", "It is four. " * 5]
        crowd = await asyncio.gather(*(teacher.complete(make_request(text, parameters=SAMPLED)) for text in texts))
        assert crowd[1].choices == alone.choices
        both = await teacher.complete(make_request(parameters=SAMPLED, n=2))
        second = await teacher.complete(make_request(parameters=SAMPLED | {"seed": 6}))
        assert both.choices == (*alone.choices, *second.choices)
        assert both.choices[0] != both.choices[1]

    async def test_greedy(self, teacher: TransformersTeacher, original: Path):
        """At temperature 0 it is what transformers' own greedy decoding gives."""
        found = await teacher.complete(make_request("It is four.", parameters={"max_tokens": 10, "temperature": 0}))
        tokenizer = AutoTokenizer.from_pretrained(original)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "It is four."}], add_generation_prompt=True, tokenize=False
        )
        given = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        whole = AutoModelForCausalLM.from_pretrained(original).generate(**given, max_new_tokens=10, do_sample=False)
        made = whole[0, given["input_ids"].shape[1] :]
        assert found.choices[0].response == tokenizer.decode(made, skip_special_tokens=True)
        assert (found.tokens_in, found.tokens_out) == (given["input_ids"].shape[1], len(made))

    @pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.3)])
    def test_its_distribution(self, original: Path, temperature: float, top_p: float):
        """Tokens come as often as temperature and nucleus say (chi-square, 4,000 draws, 0.1 %)."""
        raw = first_distribution(original, "Think.")
        p = (raw.log() / temperature).softmax(-1)
        order = p.argsort(descending=True)
        kept = order[(p[order].cumsum(0) - p[order]) < top_p]
        wanted = torch.zeros_like(p)
        wanted[kept] = p[kept] / p[kept].sum()
        draws = 4_000
        asks = [ask("Think.", seed=seed, max_tokens=1) for seed in range(draws)]
        loaded = model(original)
        seen: list[int] = []
        inner = loaded._decoded
        loaded._decoded = lambda tokens, *rest: (seen.append(tokens[0]), inner(tokens, *rest))[1]  # texts alone can't tell all
        for start in range(0, draws, 500):
            loaded.answer(asks[start : start + 500], how(temperature, top_p), never)
        counts = Counter(seen)
        assert set(counts) <= set(kept.tolist())
        likely = [token for token in kept.tolist() if wanted[token] * draws >= 5]
        chi = sum((counts[token] - draws * wanted[token].item()) ** 2 / (draws * wanted[token].item()) for token in likely)
        freedom = len(likely)
        assert chi < freedom + 3.3 * math.sqrt(2 * freedom) + 6

    def test_prompts_of_one_seed(self, original: Path):
        """Prompts that are asked with one seed get random numbers of their own: an unlikely token comes for some, not for all."""
        whole = len(first_distribution(original, "Think."))
        asked = how(top=whole)
        answers = model(original).answer([ask(f"Think {n}.", seed=7, max_tokens=1) for n in range(200)], asked, never)
        # The mass of what is likelier than the token that came: evenly between 0 and 1.
        places = [sum(math.exp(p) for p in each.logprobs.top_logprobs if p > each.logprobs.logprobs[0]) for each in answers]
        assert sum(places) / len(places) == pytest.approx(0.5, abs=0.09)
        assert min(places) < 0.1
        assert max(places) > 0.9

    def test_a_seed_is_needed_to_get_the_same_again(self, original: Path):
        """Without one, answers differ."""
        found = model(original).answer([ask(seed=None, max_tokens=16) for _ in range(2)], how(), never)
        assert found[0] != found[1]

    def test_ends(self, original: Path):
        """An answer ends at a stop text, which is no part of it, at the model's own end, or where its room ends."""
        loaded = model(original)
        (whole,) = loaded.answer([ask(max_tokens=16)], how(), never)
        assert whole.finish_reason == "length"
        assert whole.tokens_out == 16
        stop = whole.text[4:6]
        (cut,) = loaded.answer([ask(max_tokens=16)], how(stop=("never said", stop)), never)
        assert cut.finish_reason == "stop"
        assert cut.text == whole.text[: whole.text.index(stop)]
        assert cut.tokens_out < 16
        (short, long) = loaded.answer([ask(max_tokens=3), ask(max_tokens=16)], how(), never)
        assert (short.tokens_out, long) == (3, whole)
        loaded._ends = list(range(400))
        assert loaded.answer([ask()], how(), never)[0].finish_reason == "stop"

    def test_a_context_that_is_full(self, original: Path):
        """An answer takes what the prompt leaves; a prompt that leaves nothing is rejected, and its neighbours aren't."""
        loaded = model(original)
        long, longer = "a b c d e " * 16, "a b c d e " * 50
        found = loaded.answer([ask(longer), ask(long, max_tokens=None), ask()], how(), never)
        assert isinstance(found[0], RequestRejected)
        assert "the model reads 256 at once" in str(found[0])
        assert found[1].tokens_in + found[1].tokens_out == 256
        assert found[1].finish_reason == "length"
        assert found[2].tokens_out == 8

    def test_memory_that_holds_fewer(self, original: Path, monkeypatch: pytest.MonkeyPatch):
        """A batch that doesn't fit is halved until it does, and what doesn't fit alone is rejected alone."""
        loaded = model(original)
        inner, sizes = loaded._decode, []

        def tight(asks: Any, prompts: Any, *rest: Any) -> Any:
            sizes.append(len(asks))
            if len(asks) > 2 or any(len(prompt) > 60 for prompt in prompts):
                raise torch.OutOfMemoryError("no more")
            return inner(asks, prompts, *rest)

        monkeypatch.setattr(loaded, "_decode", tight)
        found = loaded.answer([ask(), ask(), ask("a b c d e " * 20), ask(), ask()], how(), never)
        assert [type(each).__name__ for each in found] == ["Decoded", "Decoded", "RequestRejected", "Decoded", "Decoded"]
        assert found[0] == found[4]
        assert sizes[:2] == [5, 2]


class TestLogprobs:
    """What each token was drawn from."""

    @pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0, 1.0), (0.7, 0.5)])
    async def test_softmax(self, original: Path, temperature: float, top_p: float):
        """They are softmaxes of the model's logits, made by hand, whatever the temperature, beside others or alone."""
        teacher = opened(original, transformers={"batch": 4})
        parameters = SAMPLED | {"temperature": temperature, "top_p": top_p, "logprobs": True, "top_logprobs": 5}
        texts = ["Think step by step.", "What is 2 + 2?", "It is four. " * 5]
        found = await asyncio.gather(*(teacher.complete(make_request(text, parameters=parameters)) for text in texts))
        plain = await teacher.complete(make_request(texts[1], parameters=SAMPLED | {"temperature": temperature, "top_p": top_p}))
        await teacher.aclose()
        assert plain.choices == (replace(found[1].choices[0], logprobs=None),)
        for text, each in zip(texts, found, strict=True):
            given = each.choices[0].logprobs
            assert given is not None
            assert given.ids is not None
            assert len(given) == each.tokens_out
            for place, logits in enumerate(by_hand(original, text, given.ids)):
                largest = max(logits)
                logs = [logit - largest - math.log(math.fsum(math.exp(other - largest) for other in logits)) for logit in logits]
                best = sorted(range(len(logs)), key=lambda token: -logs[token])[:5]
                own, top = given.ids[place], slice(5 * place, 5 * place + 5)
                assert given.counts[place] == 5
                assert given.top_ids is not None
                assert list(given.top_ids[top]) == best
                assert given.top_logprobs[top] == pytest.approx([logs[token] for token in best], abs=1e-4)
                assert given.logprobs[place] == pytest.approx(logs[own], abs=1e-4)
                assert given.rest[place] == pytest.approx(1 - sum(math.exp(logs[token]) for token in {own, *best}), abs=1e-4)

    def test_bytes(self, original: Path):
        """Tokens and alternatives have their bytes, of which the text is made; a token that ends an answer is a position too."""
        loaded = model(original)
        (found,) = loaded.answer([ask(max_tokens=16)], how(top=3), never)
        given = found.logprobs
        assert b"".join(given.tokens).decode(errors="replace") == found.text
        known = dict(zip(given.ids, given.tokens, strict=True))
        for token, piece in zip(given.top_ids, given.top_tokens, strict=True):
            assert known.setdefault(token, piece) == piece
        loaded._ends = [given.ids[4]]
        (ended,) = loaded.answer([ask(max_tokens=16)], how(top=3), never)
        assert (ended.finish_reason, ended.tokens_out) == ("stop", len(ended.logprobs))
        assert ended.logprobs.ids == given.ids[: len(ended.logprobs)]
        assert b"".join(ended.logprobs.tokens[:-1]).decode(errors="replace") == ended.text

    def test_more_than_there_are(self, original: Path):
        """Whoever asks for more alternatives than there are tokens gets all, and nothing is left outside."""
        loaded = model(original)
        size = loaded._model.config.vocab_size
        (found,) = loaded.answer([ask(max_tokens=2)], how(top=1000), never)
        assert found.logprobs.counts == (size, size)
        assert found.logprobs.rest == pytest.approx((0, 0), abs=1e-9)

    def test_vocabularies_without_bytes(self, original: Path, monkeypatch: pytest.MonkeyPatch):
        """Where tokens can't be told as bytes, ids stand alone; ids that only pad the weights have no bytes."""
        loaded = model(original)
        loaded._vocabulary = Vocabulary({0: b"a"})
        (padded,) = loaded.answer([ask()], how(top=1), never)
        assert set(padded.logprobs.tokens) <= {b"a", b""}
        del loaded._vocabulary

        def nobody(*_: Any, **__: Any) -> None:
            raise SetupError("neither")

        monkeypatch.setattr("tasks.teachers.decoding.vocabulary", nobody)
        (found,) = loaded.answer([ask()], how(top=1), never)
        assert (found.logprobs.tokens, found.logprobs.top_tokens) == (None, None)
        assert found.logprobs.ids == padded.logprobs.ids

    def test_stored(self, original: Path, tmp_path: Path):
        """Samples of a run are stored with them, and are others than those without."""
        spec = contest(original, original, tmp_path)
        del spec["teachers"][1]
        assert evaluate(tmp_path, spec)["paid"] == 8
        spec["sampling"]["logprobs"] = 4
        assert evaluate(tmp_path, spec)["paid"] == 8
        stored = [
            row["logprobs"]
            for path in (tmp_path / "lake" / "samples").rglob("*.parquet")
            for row in pq.read_table(path, columns=["logprobs"], partitioning=None).to_pylist()
        ]
        told = [each for each in stored if each is not None]
        assert (len(stored), len(told)) == (16, 8)
        assert all(set(each["counts"]) == {4} and len(each["ids"]) == len(each["tokens"]) for each in told)


class TestIdentity:
    """Which model it is."""

    def test_weights(self, folder: Path):
        """A folder that is trained again is another model; its records and checkpoints make no difference."""
        before = opened(folder).identity
        (folder / "distill.json").write_text("{}")
        (folder / "log.jsonl").write_text("{}\n")
        (folder / "checkpoints").mkdir()
        assert opened(folder).identity == before
        again = AutoModelForCausalLM.from_pretrained(folder)
        with torch.no_grad():
            next(again.parameters())[0, 0] += 1
        again.save_pretrained(folder)
        assert opened(folder).identity != before

    def test_what_else_decides(self, folder: Path):
        """The chat template and what is multiplied in are part of it; device and batch are not."""
        before = opened(folder).identity
        assert opened(folder, transformers={"device": "cpu", "batch": 2}).identity == before
        assert opened(folder, transformers={"dtype": "bfloat16"}).identity != before
        assert opened(folder, extra_body={"chat_template_kwargs": {"enable_thinking": False}}).identity != before
        (folder / "chat_template.jinja").write_text(students.CHATML + " ")
        assert opened(folder).identity != before

    async def test_changed_meanwhile(self, folder: Path):
        """Weights that were written anew since their digest was taken are not asked under it."""
        teacher = opened(folder)
        AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)
        with pytest.raises(SetupError, match="has changed since the run began"):
            await teacher.complete(make_request(parameters=SAMPLED))
        await teacher.aclose()


class TestLife:
    """Its thread."""

    async def test_the_loop_is_free(self, teacher: TransformersTeacher):
        """While it decodes, the event loop goes on."""
        await teacher.complete(make_request(parameters=SAMPLED))
        asking = asyncio.create_task(teacher.complete(make_request(parameters=SAMPLED | {"max_tokens": 200})))
        turns = 0
        while not asking.done():
            await asyncio.sleep(0.005)
            turns += 1
        assert turns > 5

    async def test_nobody_waits(self, teacher: TransformersTeacher):
        """What is cancelled ends at the next token, and the next request is answered."""
        parameters = SAMPLED | {"max_tokens": 200}
        await teacher.complete(make_request(parameters=SAMPLED))
        began = time.monotonic()
        await teacher.complete(make_request(parameters=parameters))
        whole_s = time.monotonic() - began
        for _ in range(10):
            dropped = asyncio.create_task(teacher.complete(make_request(parameters=parameters)))
            await asyncio.sleep(0.03)
            dropped.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dropped
        began = time.monotonic()
        await teacher.complete(make_request(parameters=SAMPLED))
        assert time.monotonic() - began < whole_s + 1

    async def test_closed_at_work(self, original: Path):
        """It can be closed in the middle, and takes no longer than a token."""
        teacher = opened(original)
        asking = asyncio.create_task(teacher.complete(make_request(parameters=SAMPLED | {"max_tokens": 200})))
        await asyncio.sleep(0.1)
        await teacher.aclose()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def test_broken_weights(self, folder: Path):
        """Weights that are no numbers end the run with one line, and don't become answers."""
        broken = AutoModelForCausalLM.from_pretrained(folder)
        with torch.no_grad():
            broken.lm_head.weight.fill_(math.nan)
        broken.save_pretrained(folder)
        teacher = opened(folder)
        with pytest.raises(SetupError, match="NaN"):
            await teacher.complete(make_request(parameters=SAMPLED))
        await teacher.aclose()

    async def test_no_chat_template(self, folder: Path):
        """A model without one says so."""
        (folder / "chat_template.jinja").unlink()
        teacher = opened(folder)
        with pytest.raises(SetupError, match="no chat template"):
            await teacher.complete(make_request(parameters=SAMPLED))
        await teacher.aclose()

    async def test_a_template_that_refuses(self, folder: Path):
        """A conversation that its template refuses is rejected with what the template says."""
        (folder / "chat_template.jinja").write_text("{{ raise_exception('no system text') }}")
        teacher = opened(folder)
        with pytest.raises(RequestRejected, match="no system text"):
            await teacher.complete(make_request(parameters=SAMPLED))
        await teacher.aclose()

    async def test_a_folder_that_is_no_model(self, folder: Path):
        """A configuration that transformers doesn't know is one line."""
        (folder / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
        teacher = opened(folder)
        with pytest.raises(SetupError, match="can't be loaded"):
            await teacher.complete(make_request(parameters=SAMPLED))
        await teacher.aclose()


class TestContest:
    """Students as contestants."""

    def test_base_and_student(self, original: Path, folder: Path, tmp_path: Path):
        """Two folders compete without a server; a student that is trained again is asked anew, and the other isn't."""
        again = AutoModelForCausalLM.from_pretrained(folder)
        for round_ in range(2):
            with torch.no_grad():
                again.lm_head.weight.mul_(-1 - round_)
            again.save_pretrained(folder)
            found = evaluate(tmp_path, contest(original, folder, tmp_path))
            base, student = found["contestants"]
            assert (base["asked"], student["asked"]) == (8, 8)
            assert all(each["passed"] + each["refuted"] == 8 for each in (base, student))
            assert found["paid"] == (16, 8)[round_]
        assert (base["model"], student["model"]) == (str(original), str(folder))


def contest(base: Path, student: Path, place: Path) -> dict[str, Any]:
    """Return a spec of two folders."""
    rows = [{"prompt": f"What is two plus {n}?"} for n in range(4)]
    (place / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = {"provider": "transformers", "transformers": {"device": "cpu", "batch": 4}}
    return {
        "dataset": "exam",
        "prompts": [{"source": str(place / "exam.jsonl")}],
        "teachers": [common | {"name": "base", "model": str(base)}, common | {"name": "student", "model": str(student)}],
        "sampling": {"k": 2, "max_tokens": 8, "seed": 1},
        "verify": [{"use": "length", "min_chars": 12}],
    }
