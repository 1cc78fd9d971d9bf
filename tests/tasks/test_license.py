"""The licence gate."""

from __future__ import annotations

from typing import Any

import pytest

from storage.errors import LicenseRefused, SpecError
from storage.lake import Lake
from tasks import license as license_
from tasks.license import Effective, Licensed, LicenseOptions, bar_unlicensed, effective, gate, licenses, parse
from tasks.rights.bound import Bound
from tests.fakes import make_prompt
from tests.tasks.agreements import agreement
from tests.tasks.house import Spec, house

OLD = "GPL-2.0"
"""An id that SPDX has since renamed to GPL-2.0-only."""
CLASSPATH = "GPL-2.0-only WITH Classpath-exception-2.0"


def judge(expression: str | None, **options: list[str]) -> None:
    """Put one part before the gate."""
    gate([Licensed(what="prompts[0] (a.jsonl)", license=expression)], LicenseOptions(**options))


VALID = {
    "MIT": "MIT",
    "mit": "MIT",
    "apache-2.0": "Apache-2.0",
    "MIT AND CC0-1.0": "MIT AND CC0-1.0",
    "mit or apache-2.0": "MIT OR Apache-2.0",
    "MIT OR (Apache-2.0 AND CC0-1.0)": "MIT OR (Apache-2.0 AND CC0-1.0)",
    CLASSPATH: CLASSPATH,
    OLD: "GPL-2.0-only",
    "GPL-2.0+": "GPL-2.0-or-later",
    "GPL-2.0-with-classpath-exception": "GPL-2.0-with-classpath-exception",
    "eCos-2.0": "eCos-2.0",
    "apache-2.0+ OR MIT": "Apache-2.0+ OR MIT",
    "MPL-1.1+ AND GFDL-1.1+": "MPL-1.1+ AND GFDL-1.1-or-later",
    "LicenseRef-ours": "LicenseRef-ours",
    "LicenseRef-ours AND MIT AND LicenseRef-ours": "LicenseRef-ours AND MIT AND LicenseRef-ours",
    "licenseref-ours AND LICENSEREF-ours": "LicenseRef-ours AND LicenseRef-ours",
    "LicenseRef-Ours AND LicenseRef-ours": "LicenseRef-Ours AND LicenseRef-Ours",
    "DocumentRef-a:LicenseRef-b OR MIT": "DocumentRef-a:LicenseRef-b OR MIT",
    "LicenseRef-scancode-public-domain": "LicenseRef-scancode-public-domain",
    "LicenseRef-apache-2.0 AND LicenseRef-ours": "Apache-2.0 AND LicenseRef-ours",
}
WRONG = {
    "Apache 2.0": "did you mean 'Apache-2.0'?",
    "MITT": "did you mean 'MIT'?",
    "CC-BY-NC": "did you mean 'CC-BY-NC-4.0'?",
    "CC0": "did you mean 'CC0-1.0'?",
    "mpl": "did you mean 'MPL-2.0'?",
    "MIT AND": "see spdx.org/licenses",
    "(MIT": "did you mean 'MIT'?",
    "( AND MIT": "see spdx.org/licenses",
    "MIT WITH Apache-2.0": "see spdx.org/licenses",
    "Classpath-exception-2.0": "see spdx.org/licenses",
    "qqqqqqqqqqqqqqqqqqq": "see spdx.org/licenses, or call one of your own LicenseRef-NAME",
    "unknown": "see spdx.org/licenses",
    "proprietary": "",
}


@pytest.mark.parametrize(("expression", "canonical"), VALID.items(), ids=VALID)
def test_spdx(expression: str, canonical: str):
    """An SPDX expression is understood in any case, with references, exceptions and the ids of old."""
    assert str(parse(expression, what="x")) == canonical
    judge(expression)


@pytest.mark.parametrize(("expression", "hint"), WRONG.items(), ids=WRONG)
def test_not_spdx(expression: str, hint: str):
    """Anything else is refused with its place and, where there is one, the nearest id."""
    with pytest.raises(SpecError) as caught:
        judge(expression)
    said = str(caught.value)
    assert said.startswith(f"prompts[0] (a.jsonl): {expression!r} isn't an SPDX licence expression; ")
    assert hint in said


@pytest.mark.parametrize("expression", [None, "", " "], ids=repr)
def test_none(expression: str | None):
    """Without a licence nothing is built."""
    with pytest.raises(LicenseRefused, match=r"prompts\[0\] \(a\.jsonl\) has no license: add `license:`"):
        judge(expression)


LET_THROUGH = {
    "no lists": ("MIT", {}),
    "allowed": ("MIT", {"allow": ["MIT"]}),
    "allowed in other case": ("mit", {"allow": ["Mit"]}),
    "one of an OR": ("MIT OR GPL-3.0-only", {"allow": ["MIT"]}),
    "both of an AND": ("MIT AND CC0-1.0", {"allow": ["MIT", "CC0-1.0"]}),
    "one of an OR denied": ("MIT OR GPL-3.0-only", {"deny": ["GPL-3.0-only"]}),
    "an OR within an AND": ("CC0-1.0 AND (MIT OR GPL-3.0-only)", {"allow": ["MIT", "CC0-1.0"]}),
    "an exception only permits more": (CLASSPATH, {"allow": ["GPL-2.0-only"]}),
    "with its exception": (CLASSPATH, {"allow": [CLASSPATH]}),
    "another exception denied": ("GPL-2.0-only", {"deny": [CLASSPATH]}),
    "an id of old": (OLD, {"allow": [OLD]}),
    "an id of old by its new name": (OLD, {"allow": ["GPL-2.0-only"]}),
    "or later versions": ("Apache-2.0+", {"allow": ["Apache-2.0"]}),
    "a reference": ("LicenseRef-ours", {"allow": ["LicenseRef-ours"]}),
    "a reference in other case": ("LicenseRef-Ours", {"allow": ["LicenseRef-ours"]}),
}
REFUSED = {
    "not allowed": ("GPL-3.0-only", {"allow": ["MIT"]}),
    "denied": ("MIT", {"deny": ["MIT"]}),
    "denied in other case": ("MIT", {"deny": ["mit"]}),
    "denied and allowed": ("MIT", {"allow": ["MIT"], "deny": ["MIT"]}),
    "one of an AND": ("MIT AND GPL-3.0-only", {"allow": ["MIT"]}),
    "one of an AND denied": ("MIT AND GPL-3.0-only", {"deny": ["GPL-3.0-only"]}),
    "both of an OR denied": ("MIT OR CC0-1.0", {"deny": ["MIT", "CC0-1.0"]}),
    "denied with an exception": (CLASSPATH, {"deny": ["GPL-2.0-only"]}),
    "denied with later versions": ("Apache-2.0+", {"deny": ["Apache-2.0"]}),
    "an exception isn't its licence": ("GPL-2.0-only", {"allow": [CLASSPATH]}),
    "an id of old": (OLD, {"deny": [OLD]}),
    "an id of old by its new name": ("GPL-2.0-only", {"deny": [OLD]}),
    "or later isn't only": ("GPL-2.0-or-later", {"allow": ["GPL-2.0-only"]}),
    "a reference": ("LicenseRef-ours", {"allow": ["MIT"]}),
    "a reference in other case": ("LicenseRef-Ours", {"deny": ["LicenseRef-ours"]}),
    "an id of old denied as another's exception": ("GPL-2.0-with-classpath-exception", {"deny": ["GPL-2.0"]}),
    "an id of old that names no licence": ("wxWindows", {"deny": ["LGPL-2.0-or-later"]}),
}


@pytest.mark.parametrize(("expression", "options"), LET_THROUGH.values(), ids=LET_THROUGH)
def test_let_through(expression: str, options: dict[str, list[str]]):
    """What some choice among the alternatives allows passes."""
    judge(expression, **options)


@pytest.mark.parametrize(("expression", "options"), REFUSED.values(), ids=REFUSED)
def test_refused(expression: str, options: dict[str, list[str]]):
    """What no choice allows is refused, with the licence and the list that says no."""
    with pytest.raises(LicenseRefused) as caught:
        judge(expression, **options)
    denied = "allow" not in options or expression in options["allow"]
    listed = "licenses.deny excludes it" if denied else "licenses.allow has"
    assert str(caught.value).startswith(f"prompts[0] (a.jsonl) is licensed {expression}, and {listed}")


@pytest.mark.parametrize(
    ("name", "listed", "said"), [("allow", "Apache 2", "did you mean 'Apache-2.0'"), ("deny", "GPLL", "isn't an SPDX")]
)
def test_lists_are_spdx_too(name: str, listed: str, said: str):
    """A mistyped id in a list is an error: it would allow, or deny, nothing."""
    with pytest.raises(SpecError, match=rf"licenses\.{name}\[1\]: '{listed}' .*{said}"):
        judge("MIT", **{name: ["CC0-1.0", listed]})


@pytest.mark.parametrize("written", ["licenseref-ours", "LICENSEREF-OURS"])
def test_lists_in_any_case(written: str):
    """A reference of one's own may be written in any case, in a list as in a part."""
    judge("LicenseRef-ours", allow=[written])
    with pytest.raises(LicenseRefused):
        judge("licenseref-Ours", deny=[written])


@pytest.mark.parametrize("listed", ["MIT OR Apache-2.0", "", "MIT AND MIT"])
def test_lists_hold_single_licences(listed: str):
    """So is an expression of several: no licence would ever match it."""
    with pytest.raises(SpecError, match=r"licenses\.deny\[0\]: .* must be one licence"):
        judge("MIT", deny=[listed])


def test_a_wrong_one_is_told_before_a_refused_one():
    """A mistake in the spec is reported before the gate's own no."""
    parts = [Licensed(what="a", license="GPL-3.0-only"), Licensed(what="b", license="MITT")]
    with pytest.raises(SpecError, match=r"^b: "):
        gate(parts, LicenseOptions(allow=["MIT"]))


EFFECTIVE = {
    "same": ("MIT", "MIT", None, "MIT", "allowed"),
    "two": ("CC0-1.0", "Apache-2.0", None, "CC0-1.0 AND Apache-2.0", "allowed"),
    "in canonical form": ("cc0-1.0", "apache-2.0", None, "CC0-1.0 AND Apache-2.0", "allowed"),
    "OR is bracketed": ("MIT OR CC0-1.0", "Apache-2.0", None, "(MIT OR CC0-1.0) AND Apache-2.0", "allowed"),
    "AND isn't": ("MIT AND CC0-1.0", "Apache-2.0", None, "MIT AND CC0-1.0 AND Apache-2.0", "allowed"),
    "non-commercial": ("CC-BY-NC-4.0", "MIT", None, "CC-BY-NC-4.0 AND MIT", "restricted"),
    "non-commercial, in other words": (
        "PolyForm-Noncommercial-1.0.0",
        "NCGL-UK-2.0",
        None,
        "PolyForm-Noncommercial-1.0.0 AND NCGL-UK-2.0",
        "restricted",
    ),
    "no derivatives": ("MIT", "CC-BY-ND-4.0", None, "MIT AND CC-BY-ND-4.0", "restricted"),
    "both": ("CC-BY-NC-ND-4.0", "MIT", None, "CC-BY-NC-ND-4.0 AND MIT", "restricted"),
    "the text's": ("MIT", "MIT", None, "MIT AND CC-BY-4.0", "allowed", "CC-BY-4.0"),
    "the text's, once": ("MIT", "Apache-2.0", None, "MIT AND Apache-2.0", "allowed", "Apache-2.0"),
    "the text's, non-commercial": ("MIT", "MIT", None, "MIT AND CC-BY-NC-4.0", "restricted", "CC-BY-NC-4.0"),
    "terms that restrict": ("MIT", "MIT", "restricted", "MIT", "restricted"),
    "terms that nobody knows": ("MIT", "MIT", "unknown", "MIT", "unknown"),
    "terms that say what a reference means": ("MIT", "LicenseRef-llama", "allowed", "MIT AND LicenseRef-llama", "allowed"),
    "terms don't say it of the prompts": ("LicenseRef-ours", "MIT", "allowed", "LicenseRef-ours AND MIT", "unknown"),
    "once for all": ("MIT AND CC0-1.0", "CC0-1.0 AND MIT", None, "MIT AND CC0-1.0", "allowed"),
    "an OR once": ("MIT OR CC0-1.0", "CC0-1.0 OR MIT", None, "MIT OR CC0-1.0", "allowed"),
    "an OR of one": ("MIT OR MIT", "ISC", None, "MIT AND ISC", "allowed"),
    "an OR stays whole": ("MIT", "MIT OR CC0-1.0", None, "MIT AND (MIT OR CC0-1.0)", "allowed"),
    "an AND within an OR": ("MIT OR (ISC AND CC0-1.0)", "MIT", None, "(MIT OR (ISC AND CC0-1.0)) AND MIT", "allowed"),
    "the same AND twice in an OR": ("(MIT AND ISC) OR (MIT AND ISC)", "ISC", None, "MIT AND ISC", "allowed"),
    "a reference": ("LicenseRef-ours", "MIT", None, "LicenseRef-ours AND MIT", "unknown"),
    "a document's reference": ("DocumentRef-a:LicenseRef-b", "MIT", None, "DocumentRef-a:LicenseRef-b AND MIT", "unknown"),
    "restricted, whatever the terms": ("CC-BY-NC-4.0", "MIT", "allowed", "CC-BY-NC-4.0 AND MIT", "restricted"),
    "a choice that is free": ("MIT OR CC-BY-NC-4.0", "MIT", None, "(MIT OR CC-BY-NC-4.0) AND MIT", "allowed"),
    "a choice that nobody knows": (
        "LicenseRef-a OR CC-BY-ND-4.0",
        "MIT",
        None,
        "(LicenseRef-a OR CC-BY-ND-4.0) AND MIT",
        "unknown",
    ),
    "no choice that is free": (
        "(MIT AND CC-BY-NC-4.0) OR CC-BY-ND-4.0",
        "MIT",
        None,
        "((MIT AND CC-BY-NC-4.0) OR CC-BY-ND-4.0) AND MIT",
        "restricted",
    ),
    "names that only look so": ("BSD-2-Clause", "NCSA", None, "BSD-2-Clause AND NCSA", "allowed"),
}


@pytest.mark.parametrize("given", EFFECTIVE.values(), ids=EFFECTIVE)
def test_effective(given: tuple[Any, ...]):
    """A trace's licence is all of its parts', each once, and training is allowed where neither licences nor terms say otherwise."""
    prompt, teacher, training, whole, use, *text = given
    terms = None if training is None else Bound(teacher="t", agreements=(agreement(training=training),))
    assert effective(prompt, teacher, terms=terms, text=next(iter(text), None)) == Effective(license=whole, train_use=use)
    assert str(parse(whole, what="x")) == whole


async def test_rows_are_judged_alone(lake: Lake):
    """A row whose own licence is missing, unknown or not allowed is rejected by itself, unasked, and taints no other."""
    given = {"a": "MIT", "b": None, "c": "GPL-3.0-only", "d": "free for all", "e": "MIT OR GPL-3.0-only", "f": " "}
    spec = Spec(prompts=[make_prompt(text, license=own) for text, own in given.items()])
    async with house(lake, spec) as one:
        await one.prepare()
        assert bar_unlicensed(one.workspace, LicenseOptions(allow=["MIT"])) == 4
        assert dict(one.workspace.rows("SELECT prompt_id, reason FROM barred JOIN prompt_ids USING (ord)")) == {
            "b": "no license",
            "c": "licensed GPL-3.0-only, and licenses.allow has MIT",
            "d": "'free for all' isn't an SPDX licence expression",
            "f": "no license",
        }
        assert licenses(one.workspace) == ["MIT", "MIT OR GPL-3.0-only"]
        assert one.workspace.rows("SELECT DISTINCT stage FROM barred") == [("license",)]


async def test_a_column_of_other_things(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """A column with too many different values is no column of licences, and an error of the spec's."""
    monkeypatch.setattr(license_, "MOST", 2)
    async with house(lake, Spec(prompts=[make_prompt(text, license=text) for text in "abc"])) as one:
        await one.prepare()
        with pytest.raises(SpecError, match=r"fields\.license gives more than 2 different licences"):
            bar_unlicensed(one.workspace, LicenseOptions())
