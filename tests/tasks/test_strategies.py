"""Strategies: which prompt is asked by which, and how a build counts by them."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.errors import SpecError
from storage.lake import Lake
from storage.records import Message, Prompt
from tasks.estimate import estimate
from tasks.strategies import StrategyOptions, builtin, lot, remarks
from tasks.teachers.protocol import Completion, Request
from tasks.templates import Template, TemplateOptions
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Built, Spec, build, house
from verifiers.self_consistency import SelfConsistency

SHORT = {"name": "short", "system": "Be short."}
LONG = {"name": "long", "system": "Be long.", "when": {"kind": "essay"}}
CODE = {
    "name": "code",
    "system": "Write code.",
    "user": "Program this: {{ prompt }}",
    "when": {"kind": ["sum", "sort"], "hard": True},
}
ESSAY = make_prompt("an essay", tags={"kind": "essay"})
SORT = make_prompt("a sort", tags={"kind": "sort", "hard": "true"})
OTHER = make_prompt("another")


def options(*strategies: Any, **more: Any) -> TemplateOptions:
    """Return a template with strategies, as a spec gives them."""
    return TemplateOptions.model_validate({"strategies": list(strategies)} | more)


def template(*strategies: Any, seed: int = 0, **more: Any) -> Template:
    """Return it compiled."""
    return Template(options(*strategies, **more), where="spec.yaml", seed=seed)


def said(request: Request) -> Completion:
    """Answer with the system text and the user's, and the sample's index."""
    text = " | ".join(message.content for message in request.messages)
    return completion(*(f"{text} #{request.sample_index + n}" for n in range(request.n)))


def spec(*strategies: Any, **given: Any) -> Spec:
    """Return a spec of three prompts, and a teacher that says what it was sent."""
    made = {"prompts": [ESSAY, SORT, OTHER], "teachers": {"smol": FakeTeacher(answer=said)}, "template": options(*strategies)}
    return Spec(**(made | given))


def slots(built: Built) -> list[tuple[Any, ...]]:
    """Return prompt, teacher, strategy and index of each outcome."""
    return [(row["prompt_id"], row["teacher"], row["strategy"], row["sample_index"]) for row in built.tables["outcomes"]]


class TestWhoIsAsked:
    """Which strategies are for a prompt, and what is sent by them."""

    @pytest.mark.parametrize(
        ("prompt", "names"),
        [
            (ESSAY, ["short", "long"]),
            (SORT, ["short", "code"]),
            (OTHER, ["short"]),
            (replace(SORT, tags={"kind": "sort"}), ["short"]),
        ],
    )
    def test_conditions(self, prompt: Prompt, names: list[str]):
        """A strategy is for the prompts that have all of its tags, one of each list; without any, for all."""
        assert template(SHORT, LONG, CODE).strategies(prompt) == names

    def test_no_strategy(self):
        """A prompt that none is for is asked by the plain template."""
        plain = template(LONG, system="Plain.")
        assert plain.strategies(OTHER) == [None]
        assert plain.render(OTHER, place="")[0] == Message(role="system", content="Plain.")
        assert options(LONG).names == ("long", None)
        assert options(LONG, SHORT).names == ("long", "short")

    def test_texts(self):
        """A strategy's system text goes in place of the template's, and its user text too, where it has one."""
        made = template(CODE, SHORT, {"name": "bare", "user": "{{ prompt }}?"}, user="> {{ prompt }}", system="Plain.")
        sent = {name: [each.content for each in made.render(SORT, place="", strategy=name)] for name in ("code", "short", "bare")}
        assert sent == {
            "code": ["Write code.", "Program this: a sort"],
            "short": ["Be short.", "> a sort"],
            "bare": ["Plain.", "a sort?"],
        }

    @pytest.mark.parametrize("name", sorted(builtin()))
    def test_built_in(self, name: str):
        """A built-in strategy is named, and says what it is for; no two say the same."""
        system, asked = template(name).render(OTHER, place="", strategy=name)
        assert (system.content, asked.content) == (builtin()[name], OTHER.prompt)
        assert len(set(builtin().values())) == len(builtin()) == 6
        assert template({"name": name, "system": "Mine."}).render(OTHER, place="", strategy=name)[0].content == "Mine."

    @pytest.mark.parametrize("name", sorted(builtin()))
    def test_built_in_texts_stay(self, name: str):
        """A text is a part of its samples' addresses: a changed word would buy them all again."""
        known = (Path(__file__).parent / "strategies.sha256").read_text().splitlines()
        assert f"{hashlib.sha256(builtin()[name].encode()).hexdigest()}  {name}" in known

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (
                {"strategies": ["step_by_stp"]},
                r"strategies\.0\n.*'step_by_stp' is no built-in strategy, and .*; did you mean 'step_by_step'",
            ),
            ({"strategies": [{"name": "mine"}]}, "is no built-in strategy, and has no `system` text of its own"),
            ({"strategies": [{"name": "a b", "system": "x"}]}, "String should match pattern"),
            ({"strategies": ["direct", {"name": "direct", "system": "x"}]}, r"strategies\[1\]: another one is named 'direct'"),
            ({"strategies": [{"name": "direct", "when": {"kind": []}}]}, "must be a value of the tag, or a list of these"),
            ({"strategies": [{"name": "direct", "where": {"kind": "x"}}]}, "Extra inputs are not permitted"),
            ({"draw": "one"}, "draw: it chooses among `strategies`, and there are none"),
            ({"strategies": ["direct"], "draw": "some"}, "Input should be 'each' or 'one'"),
            ({"strategies": ["direct"], "license": "MIT"}, "license: there is no text of the template's own"),
        ],
    )
    def test_what_makes_no_sense(self, given: dict[str, Any], message: str):
        """It is refused, with its place."""
        with pytest.raises(ValidationError, match=message):
            TemplateOptions.model_validate(given)

    def test_a_broken_text(self):
        """Jinja's complaint names the strategy's place."""
        with pytest.raises(SpecError, match=r"^spec\.yaml: template\.strategies\[1\]\.system, line 2: "):
            template(SHORT, {"name": "x", "system": "a\n{{ b"})
        with pytest.raises(SpecError, match=r"template\.strategies\[0\]\.user, for the prompt at p:1: 'promt' is undefined"):
            template({"name": "x", "user": "{{ promt }}"}).render(OTHER, place="p:1", strategy="x")

    def test_remarks(self):
        """Whoever waits hears of a strategy that is for nobody, and of prompts that no strategy is for."""
        listed = [StrategyOptions.model_validate(each) for each in (LONG, CODE)]
        assert list(remarks({"long": 2, None: 1_000}, listed)) == [
            "strategy 'code': no prompt is asked by it",
            "1,000 prompts are for no strategy, and are asked by template.system and template.user alone",
        ]
        assert list(remarks({None: 5}, [])) == []


class TestOneEach:
    """`draw: one`: a lot decides."""

    PROMPTS = [make_prompt(f"p{n}") for n in range(600)]

    def test_shares(self):
        """Each strategy gets about its share, the seed decides which, and the same seed the same."""
        names = ["a", "b", "c"]
        first = [lot(names, prompt, seed=1) for prompt in self.PROMPTS]
        assert first == [lot(names, prompt, seed=1) for prompt in self.PROMPTS]
        assert first != [lot(names, prompt, seed=2) for prompt in self.PROMPTS]
        assert all(160 < number < 240 for number in Counter(first).values())

    def test_one_more(self):
        """A strategy that is added takes prompts from the others, and none changes between these."""
        before = [lot(["a", "b"], prompt, seed=1) for prompt in self.PROMPTS]
        after = [lot(["a", "b", "c"], prompt, seed=1) for prompt in self.PROMPTS]
        assert all(now in (was, "c") for was, now in zip(before, after, strict=True))

    async def test_a_build(self, lake: Lake):
        """Every prompt is asked by one strategy that is for it."""
        built = await build(lake, spec(SHORT, LONG, CODE, template=options(SHORT, LONG, CODE, draw="one"), k=2))
        assert built.paid == built.counts["requested"] == 6
        assert {prompt: strategy for prompt, _, strategy, _ in slots(built)}["another"] == "short"


class TestBuild:
    """A build counts by prompt, teacher, strategy and index."""

    async def test_slots(self, lake: Lake):
        """K samples of every teacher by every strategy; each outcome and trace says by which, and a rerun buys nothing."""
        two = {name: FakeTeacher(answer=said) for name in ("smol", "big")}
        first = await build(lake, spec(SHORT, LONG, CODE, teachers=two, k=2))
        expected = [("an essay", "short"), ("an essay", "long"), ("a sort", "short"), ("a sort", "code"), ("another", "short")]
        asked = [(prompt, teacher, strategy, n) for prompt, strategy in expected for teacher in ("smol", "big") for n in range(2)]
        assert sorted(slots(first)) == sorted(asked)
        assert (first.paid, first.counts["kept"]) == (20, 10)  # both teachers say the same
        assert {name: each.requested for name, each in first.by_teacher.items()} == {"smol": 10, "big": 10}
        for trace in first.tables["traces"]:
            system = next(each["system"] for each in (SHORT, LONG, CODE) if each["name"] == trace["strategy"])
            assert trace["system"] == trace["messages"][0]["content"] == system
            assert trace["response"].startswith(system)
        stored = [
            row
            for part in (lake.root / "samples").rglob("*.parquet")
            for row in pq.read_table(part, partitioning=None).to_pylist()
        ]
        assert {(row["strategy"], row["system"]) for row in stored} == {
            (each["name"], each["system"]) for each in (SHORT, LONG, CODE)
        }
        again = await build(lake, spec(SHORT, LONG, CODE, teachers=two, k=2), run="again")
        assert (again.paid, again.counts["reused"], slots(again)) == (0, 20, slots(first))

    async def test_plain_where_none_fits(self, lake: Lake):
        """A prompt without a strategy has k samples by the plain template, and no strategy in its rows."""
        built = await build(lake, spec(LONG, k=2))
        assert Counter(strategy for _, _, strategy, _ in slots(built)) == {"long": 2, None: 4}
        assert built.prepared.by_strategy == {"long": 1, None: 2}

    async def test_without_strategies_nothing_changes(self, lake: Lake, tmp_path: Path):
        """What was drawn by the plain template is found again by a strategy that sends the very same, and the other way round."""
        plain = await build(lake, spec(template=TemplateOptions(system="Be short."), k=2))
        assert {strategy for _, _, strategy, _ in slots(plain)} == {None}
        named_ = await build(lake, spec(SHORT, k=2), run="named")
        assert (named_.paid, named_.counts["kept"]) == (0, 6)
        assert [row["sample_id"] for row in named_.tables["traces"]] == [row["sample_id"] for row in plain.tables["traces"]]
        assert {row["strategy"] for row in named_.tables["traces"]} == {"short"}

    async def test_strategies_that_say_the_same(self, lake: Lake):
        """A sample that two strategies ask for is bought once, and each has an outcome for it."""
        built = await build(lake, spec(SHORT, SHORT | {"name": "brief"}, prompts=[OTHER], k=3))
        assert (built.paid, built.counts["requested"]) == (3, 6)
        assert Counter(strategy for _, _, strategy, _ in slots(built)) == {"short": 3, "brief": 3}

    async def test_adaptive(self, lake: Lake):
        """Each strategy is asked until it has enough accepted samples of its own."""
        good = named(judge=lambda prompt, sample: sample.system != "Be long." or sample.sample_index == 2)
        built = await build(lake, spec(SHORT, LONG, prompts=[ESSAY], k=4, sampling={"adaptive": {"accept": 1}}, verifiers=[good]))
        assert Counter(strategy for _, _, strategy, _ in slots(built)) == {"short": 1, "long": 3}
        assert built.saved is not None
        assert (built.saved.samples, "each prompt by each of its strategies" in built.saved.basis) == (4, True)

    async def test_a_cascade(self, lake: Lake):
        """The strong teacher is asked by that strategy alone by which the cheap one didn't solve the prompt."""
        teachers = {name: FakeTeacher(answer=said) for name in ("strong", "cheap")}
        good = named(judge=lambda prompt, sample: sample.system == "Be short." or sample.teacher == "strong")
        one = spec(
            SHORT, LONG, prompts=[ESSAY], k=2, teachers=teachers, sampling={"cascade": ("cheap", "strong")}, verifiers=[good]
        )
        built = await build(lake, one)
        asked = Counter((teacher, strategy) for _, teacher, strategy, _ in slots(built))
        assert asked == {("cheap", "short"): 2, ("cheap", "long"): 2, ("strong", "long"): 2}
        assert (await build(lake, one, run="again")).paid == 0
        assert built.saved is not None
        assert built.saved.samples == 2

    async def test_a_vote(self, lake: Lake):
        """All strategies' samples of a teacher vote together: a strategy that always errs alike is outvoted."""

        def answer(request: Request) -> Completion:
            wrong = request.messages[0].content == "Be long."
            return completion(*(f"The answer is {7 if wrong else 4}." for _ in range(request.n)))

        vote = replace(named("self_consistency"), verifier=SelfConsistency(kind="number"))
        third = SHORT | {"name": "third", "system": "Be quick."}
        one = spec(SHORT, LONG, third, prompts=[ESSAY], k=2, teachers={"smol": FakeTeacher(answer=answer)}, verifiers=[vote])
        one.dedup = one.dedup.model_copy(update={"exact": False})
        built = await build(lake, one)
        ended = {(row["strategy"], row["outcome"]) for row in built.tables["outcomes"]}
        assert ended == {("short", "kept"), ("third", "kept"), ("long", "rejected")}
        assert built.tables["outcomes"][2]["reason"] == "self_consistency: 7 has 2 of 6 votes, 4 has 4"
        assert (await build(lake, one, run="again")).tables["outcomes"] == built.tables["outcomes"]

    async def test_estimates(self, lake: Lake):
        """A plan has a line for each strategy, with the tokens of what that one sends."""
        wordy = {"name": "wordy", "system": "Say " + "very " * 200 + "much.", "when": {"kind": "essay"}}
        async with house(lake, spec(SHORT, wordy, k=3)) as one:
            await one.prepare()
            await one.open()
            short, long = estimate(
                one.workspace,
                one.draw.sampling,
                [desk.options for desk, _ in one.arms],
                one.cascades,
                verified=False,
                strategies=[strategy for _, strategy in one.arms],
            )
        assert [(each.strategy, each.missing) for each in (short, long)] == [("short", 9), ("wordy", 3)]
        assert long.tokens_in > 5 * short.tokens_in

    @pytest.mark.slow
    @settings(max_examples=15, deadline=None)
    @given(
        tags=st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=4),
        whens=st.lists(st.sets(st.sampled_from(["x", "y", "z"]), max_size=2), min_size=1, max_size=3),
        k=st.integers(1, 3),
        accept=st.none() | st.just(1),
        cascade=st.booleans(),
        one=st.booleans(),
    )
    def test_the_sum(self, tags: list[str], whens: list[set[str]], k: int, accept: int | None, *, cascade: bool, one: bool):
        """Whatever the conditions, each slot that is asked for ends once, is of a strategy for its prompt, and is paid for once."""
        strategies = [
            {"name": f"s{n}", "system": f"Way {n}."} | ({"when": {"t": sorted(when)}} if when else {})
            for n, when in enumerate(whens)
        ]
        made = options(*strategies, draw="one" if one else "each")
        given = spec(
            prompts=[make_prompt(f"{tag} {n}", tags={"t": tag}) for n, tag in enumerate(tags)],
            template=made,
            k=k,
            teachers={name: FakeTeacher(answer=said) for name in ("a", "b")},
            sampling=({"adaptive": {"accept": accept}} if accept else {}) | ({"cascade": ("b", "a")} if cascade else {}),
            verifiers=[named(judge=lambda prompt, sample: int(sample.sample_id, 16) % 2 == 0)],
        )
        with tempfile.TemporaryDirectory() as folder:
            built = asyncio.run(build(Lake.at(f"{folder}/lake"), given))
            again = asyncio.run(build(Lake.at(f"{folder}/lake"), given, run="again"))
        found = slots(built)
        assert len(set(found)) == len(found) == built.counts["requested"]
        compiled = Template(made, where="", seed=0)
        allowed = {prompt.prompt_id: compiled.strategies(prompt) for prompt in given.prompts}
        assert all(strategy in allowed[prompt] for prompt, _, strategy, _ in found)
        if not (accept or cascade):
            assert len(found) == sum(2 * k * len(names) for names in allowed.values())
        assert built.paid == len({row["sample_id"] for row in built.tables["outcomes"]})
        assert (again.paid, slots(again)) == (0, found)
