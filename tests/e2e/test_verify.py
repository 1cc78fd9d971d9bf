"""`stillhouse verify`: judging again what is stored, with no call to a teacher."""

from __future__ import annotations

import fcntl
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

pytestmark = pytest.mark.slow

VERIFIER = '''
from storage.records import Prompt, Sample
from verifiers.protocol import verifier
import pathlib

@verifier(version="1")
class Fickle:
    """Passes what a file says."""

    at: str
    """The file."""

    def check(self, prompt: Prompt, sample: Sample) -> bool:
        """Read it."""
        return pathlib.Path(self.at).read_text() == "pass"
'''


@pytest.fixture
def teacher() -> Iterator[LoopbackTeacher]:
    """Give a teacher that answers at once."""
    with LoopbackTeacher() as serving:
        yield serving


def verify(workplace: Workplace, *options: str, want: int = 0) -> dict[str, Any]:
    """Verify the spec's samples, and return what it says."""
    del workplace.environment["TEST_KEY"]  # nobody is asked
    try:
        done = workplace.run("verify", str(workplace.write()), "--lake", str(workplace.lake), "--json", *options)
    finally:
        workplace.environment["TEST_KEY"] = "sk-canary-1234567890"
    assert done.returncode == want, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_a_changed_verifier_changes(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Verdicts are made and compared, a build then uses them, and no teacher is asked."""
    spec(workplace, teacher.url, prompts=30, k=2)
    built = workplace.build()
    sold = teacher.sold
    nothing = verify(workplace)
    assert (nothing["judged"], nothing["build_id"], nothing["samples"]) == (0, built["build_id"], 60)
    assert nothing["verifiers"] == [
        {"verifier": "exact_match", "verdicts": 60, "missing": 0, "first": 0, "same": 60, "changed": {}}
    ]
    passed = built["kept"]
    workplace.spec["verify"][0] |= {"tolerance": 5}
    found = verify(workplace)
    (one,) = found["verifiers"]
    assert (found["judged"], one["same"], one["changed"]) == (60, passed, {"fail to pass": 60 - passed})
    change = found["changes"][0]
    assert (change["before"], change["after"]) == ("fail", "pass")
    assert change["reason_before"]
    assert verify(workplace)["judged"] == 0
    assert workplace.build()["kept"] == 60
    assert teacher.sold == sold


def test_a_corrected_reference(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Samples of a prompt whose reference was mended are judged again, and compared with what the old one made of them."""
    spec(workplace, teacher.url, prompts=3, k=1)
    kept = workplace.build()["kept"]
    rows = [{"prompt": f"How many in case {i}?", "reference": "1000"} for i in range(3)]
    (workplace.folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (one,) = verify(workplace)["verifiers"]
    assert one["changed"] == {"pass to fail": kept}
    assert one["same"] == 3 - kept


def test_a_prompt_that_is_rejected_now(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Samples of a prompt that a held-out benchmark has now are judged by nobody, as in a build."""
    spec(workplace, teacher.url, prompts=3, k=2)
    workplace.build()
    (workplace.folder / "exam.jsonl").write_text(json.dumps({"prompt": "How many in case 1?"}) + "\n")
    workplace.spec["decontaminate"] = [{"source": str(workplace.folder / "exam.jsonl")}]
    workplace.spec["verify"][0] |= {"tolerance": 5}
    found = verify(workplace)
    assert (found["samples"], found["judged"]) == (4, 4)
    assert workplace.build()["rejected"]["decontaminate"] == 2


def test_a_new_verifier_and_a_judge(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A verifier that is new has nothing to be compared with; a judge isn't asked, and what it hasn't judged is told."""
    spec(workplace, teacher.url, prompts=4, k=1)
    workplace.build()
    judge = workplace.teacher(teacher.url) | {"name": "judge", "model": "j", "draw": False}
    workplace.spec["teachers"].append(judge)
    workplace.spec["verify"] += [
        {"use": "exact_match", "kind": "text"},
        {"use": "judge", "teacher": "judge", "rubric": "?", "pass_at": 5},
    ]
    asked = len(teacher.bodies)
    found = verify(workplace)
    assert [(each["verdicts"], each["missing"], each["first"]) for each in found["verifiers"]] == [
        (4, 0, 0),
        (4, 0, 4),
        (0, 4, 0),
    ]
    assert len(teacher.bodies) == asked


def test_a_vote(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Verifiers that judge a prompt's samples together are judged and compared likewise; `show` tells their verdicts."""
    spec(workplace, teacher.url, prompts=5, k=3)
    workplace.spec["verify"] = [{"use": "self_consistency", "kind": "number"}]
    built = workplace.build()
    found = verify(workplace)
    assert found["verifiers"][0]["same"] == 15
    workplace.spec["verify"] = [{"use": "self_consistency", "kind": "number", "share": 1.0}]
    (one,) = verify(workplace, "--again")["verifiers"]
    # The teacher's answers follow the sample's number, so no three are the same, and one vote in three is too few for all.
    assert one["changed"].keys() <= {"pass to undecided", "undecided to undecided", "fail to undecided"}
    assert one["same"] + sum(one["changed"].values()) == 15
    shown = workplace.run(
        "show", "sums", "--lake", str(workplace.lake), "--json", "-n", "1", *([] if built["kept"] else ["--outcome", "rejected"])
    )
    (sample,) = json.loads(shown.stdout)["samples"]
    assert [each["verifier"] for each in sample["verdicts"]] == ["self_consistency"]


def test_again(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """`--again` finds a verifier that decides otherwise though nothing has changed, and leaves what is stored."""
    packages = workplace.folder / "site"
    info = packages / "fickle-1.dist-info"
    info.mkdir(parents=True)
    (packages / "fickle.py").write_text(VERIFIER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fickle\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[stillhouse.verifiers]\nfickle = fickle:Fickle\n")
    workplace.environment["PYTHONPATH"] = str(packages)
    says = workplace.folder / "says.txt"
    says.write_text("pass")
    spec(workplace, teacher.url, prompts=4, k=1)
    workplace.spec["verify"].append({"use": "fickle", "at": str(says)})
    workplace.build()
    assert verify(workplace, "--again")["unstable"] == {}
    says.write_text("fail")
    found = verify(workplace, "--again")
    assert (found["unstable"], found["judged"]) == ({"fickle": 4}, 0)
    assert found["verifiers"][1]["same"] == 4
    told = workplace.run("verify", str(workplace.write()), "--lake", str(workplace.lake), "--again")
    assert "UNSTABLE: 4 verdicts differ" in told.stdout


def test_self_test(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """The verifiers are tried on the prompts' references and on what is near them; nobody is asked, and nothing is stored."""
    spec(workplace, teacher.url, prompts=30, k=1)
    found = verify(workplace, "--self-test", "--prompts", "20")
    assert (found["prompts"], found["sound"], found["faults"]) == (20, True, [])
    (one,) = found["verifiers"]
    assert (one["verifier"], one["prompts"], one["right"], one["wrong"]) == ("exact_match", 20, 40, 60)
    assert (teacher.sold, workplace.lake.exists()) == (0, False)


def test_a_self_test_that_finds_something(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Tests that the reference's own code fails, and tests that an empty program passes, are shown; the former exits 2."""
    spec(workplace, teacher.url, prompts=1, k=1)
    rows = [
        {"prompt": "a", "reference": "def f(): return 1", "tests": "assert f() == 1"},
        {"prompt": "b", "reference": "def f(): return 1", "tests": "assert f() == 2"},
        {"prompt": "c", "reference": "def f(): return 1", "tests": "assert True"},
    ]
    (workplace.folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    workplace.spec["verify"] = [{"use": "unit_tests"}]
    done = workplace.run("verify", str(workplace.write()), "--self-test")
    assert done.returncode == 2
    assert "NOT SOUND" in done.stdout
    assert "unit_tests fails what is right" in done.stdout
    assert "not sound" in done.stderr
    assert "Traceback" not in done.stderr


def test_interrupted_while_it_waits(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Where a build has the lake, it waits, and ends at once when it is told to."""
    spec(workplace, teacher.url, prompts=4, k=1)
    workplace.build()
    with (workplace.lake / "journal" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with workplace.start("verify", str(workplace.write()), "--lake", str(workplace.lake)) as waiting:
            assert waiting.stderr is not None
            told = waiting.stderr.readline()
            waiting.send_signal(signal.SIGINT)
            assert waiting.wait(30) == 130
    assert "writes" in told or "wait" in told


def test_without_a_lake(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Where nothing was built there is nothing to judge, and it says so."""
    spec(workplace, teacher.url, prompts=4, k=1)
    found = verify(workplace)
    assert (found["samples"], found["judged"], found["build_id"], found["changes"]) == (0, 0, None, [])
    assert "no build to compare with" in workplace.run("verify", str(workplace.write()), "--lake", str(workplace.lake)).stdout
