"""A damaged lake: one line from every command, `doctor --repair`, and a build that goes on and buys only what was lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec
from tests.storage.damaging import cut_footer, cut_in_group, flip, truncate

pytestmark = pytest.mark.slow


@pytest.fixture
def teacher() -> Iterator[LoopbackTeacher]:
    """Give a teacher that answers at once."""
    with LoopbackTeacher() as serving:
        yield serving


def part(workplace: Workplace) -> Path:
    """Return the only part of samples."""
    (path,) = (path for path in (workplace.lake / "samples").glob("*.parquet") if path.name != "_empty.parquet")
    return path


def flip_one(path: Path) -> None:
    """Flip a bit of a part's first page."""
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def doctor(workplace: Workplace, *arguments: str) -> tuple[int, dict]:
    """Run doctor and return its code and what it says."""
    done = workplace.run("doctor", "--lake", str(workplace.lake), "--json", *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def refused(workplace: Workplace, *arguments: str) -> str:
    """Run a command that must end with one line and exit 2, and return the line."""
    done = workplace.run(*arguments, "--lake", str(workplace.lake))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "Traceback" not in done.stderr
    assert "stillhouse doctor --repair" in line
    return line


def test_a_truncated_part(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Every command says in one line which file, exit 2; a repair puts it aside; the next build buys what is lost, and no more."""
    spec(workplace, teacher.url, prompts=20)
    workplace.build()
    path = part(workplace)
    cut_in_group(path, 0)
    for command in (("build", "spec.yaml"), ("plan", "spec.yaml"), ("status",), ("show", "sums")):
        assert path.name in refused(workplace, *command)
    code, said = doctor(workplace)
    assert (code, said["lake"]["state"], said[f"lake: samples/{path.name}"]["state"]) == (2, "damaged", "damaged")
    assert f"stillhouse doctor --repair --lake {workplace.lake}" in said["lake"]["detail"]
    code, done = doctor(workplace, "--repair")
    assert (code, [finding["kind"] for finding in done["findings"]]) == (0, ["part"])
    assert Path(done["moved"][str(path)]).is_file()
    code, said = doctor(workplace)
    assert said["lake"]["state"] == "ok"
    assert workplace.build()["paid"] == 60
    assert teacher.sold == 120


def test_a_part_that_is_gone(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Nothing is bought again for a part that somebody removed, until it is put back, or a repair gives it up."""
    spec(workplace, teacher.url, prompts=20)
    workplace.build()
    path = part(workplace)
    copy = path.rename(workplace.folder / "copy")
    for command in (("build", "spec.yaml"), ("plan", "spec.yaml")):
        assert f"{path.name}: isn't there any more, and its 60 rows with it" in refused(workplace, *command)
    assert doctor(workplace)[1][f"lake: samples/{path.name}"]["state"] == "damaged"
    copy.rename(path)
    assert (doctor(workplace)[0], workplace.build()["paid"]) == (0, 0)
    path.unlink()
    assert doctor(workplace, "--repair")[0] == 0
    assert (workplace.build()["paid"], teacher.sold) == (60, 120)


def test_a_part_without_its_end(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A part that lost its last bytes is mended without a loss, and the next build buys nothing."""
    spec(workplace, teacher.url, prompts=20)
    workplace.build()
    cut_footer(part(workplace))
    assert part(workplace).name in refused(workplace, "build", "spec.yaml")
    code, done = doctor(workplace, "--repair")
    assert (code, done["findings"][0]["lost"], done["findings"][0]["saved"]) == (0, 0, 60)
    assert workplace.build()["paid"] == 0


def test_a_damaged_page(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A build stops at a flipped bit, for which its own reader has no eye, and what the checksum refutes is bought again."""
    spec(workplace, teacher.url, prompts=20)
    workplace.build()
    flip(part(workplace), group=0)
    assert part(workplace).name in refused(workplace, "build", "spec.yaml")
    code, done = doctor(workplace, "--repair")
    assert (code, done["findings"][0]["lost"], done["findings"][0]["saved"]) == (0, 60, 0)
    assert workplace.build()["paid"] == 60


def test_a_damaged_journal(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A damaged line stops build, plan and export; a repair lands all others, and the build buys that one again."""
    spec(workplace, teacher.url, prompts=20)
    workplace.build()
    path = part(workplace)
    lines = journal_of(path)
    for each in (path, path.with_name(f"_{path.stem}.footer")):  # as if it hadn't landed
        each.unlink()
    segment = workplace.lake / "journal" / f"{path.stem}.jsonl"
    segment.write_bytes(b"".join([*lines[:30], lines[30][:100] + b"\n", *lines[31:]]))
    export = ("export", "sums", "--to", str(workplace.folder / "out"))
    for command in (("build", "spec.yaml"), ("plan", "spec.yaml"), export):
        assert f"{segment.name}:31: the journal is damaged" in refused(workplace, *command)
    code, done = doctor(workplace, "--repair")
    assert (code, done["findings"][0]["readable"], done["findings"][0]["lost"]) == (0, 59, 1)
    assert workplace.build()["paid"] == 1
    assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(60, 60)]


def journal_of(path: Path) -> list[bytes]:
    """Return a part's samples as the lines of a journal."""
    import pyarrow.parquet as pq

    from storage.lines import pack
    from storage.rows import sample_of

    return [pack(sample_of(row)) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize(
    ("table", "damage"),
    [("traces", truncate), ("traces", Path.unlink), ("outcomes", flip_one)],
    ids=["truncated", "gone", "a bit"],
)
def test_a_damaged_snapshot(workplace: Workplace, teacher: LoopbackTeacher, table: str, damage: Callable[[Path], None]) -> None:
    """A build whose snapshot is damaged can't be exported, nor compared; a repair takes it out, and building again costs nothing."""
    spec(workplace, teacher.url, prompts=5)
    build = workplace.build()["build_id"]
    workplace.build()
    damage(workplace.lake / table / "dataset=sums" / f"build={build}" / "part-00000.parquet")
    assert doctor(workplace)[0] == 2
    to = str(workplace.folder / "out")
    for command in (("export", "sums", "--build", build, "--to", to), ("diff", "sums"), ("report", "sums", "--build", build)):
        assert f"{table}/dataset=sums/build={build}/part-00000.parquet: " in refused(workplace, *command)
    code, done = doctor(workplace, "--repair")
    assert (code, done["findings"][0]["kind"]) == (0, "build")
    assert workplace.build()["paid"] == 0
    assert workplace.query("SELECT count(*) FROM builds") == [(2,)]


def test_another_build_s_snapshot(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """What a command reads of a build that has landed is compared first: nothing is made of a flipped bit, or bought for it."""
    spec(workplace, teacher.url, prompts=5)
    place = f"dataset=sums/build={workplace.build()['build_id']}/part-00000.parquet"
    (workplace.folder / "held.jsonl").write_text('{"prompt": "What is the capital of France?"}\n')
    first, of_lake = workplace.spec, {"source": f"lake:{workplace.lake}#sums", "take": "prompts"}
    for name, entries in {
        "against": {"dataset": "more", "dedup": {"against": ["sums"]}},
        "traces": {"dataset": "more", "prompts": [of_lake | {"take": "traces"}]},
        "prompts": {"dataset": "more", "prompts": [of_lake]},
    }.items():
        (workplace.folder / f"{name}.yaml").write_text(json.dumps(first | entries))
    commands = {
        "traces": (("build", "against.yaml"), ("build", "traces.yaml"), ("contaminated", "sums", "--against", "held.jsonl")),
        "prompts": (("build", "prompts.yaml"), ("plan", "prompts.yaml"), ("verify", "spec.yaml")),
        "outcomes": (("build", "spec.yaml"), ("verify", "spec.yaml")),
    }
    for table, those in commands.items():
        path = workplace.lake / table / place
        whole = path.read_bytes()
        flip_one(path)
        for command in those:
            assert f"{path}: isn't byte for byte what was written" in refused(workplace, *command)
        path.write_bytes(whole)
    assert teacher.sold == 15


def test_refuted_samples_that_are_damaged(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Pairs are exported of the lake's samples, so these are compared with their checksums first."""
    spec(workplace, teacher.url, prompts=5)
    workplace.build()
    flip_one(part(workplace))
    said = refused(workplace, "export", "sums", "--format", "preference", "--to", str(workplace.folder / "out"))
    assert f"{part(workplace)}: isn't byte for byte what was written" in said


def test_a_damaged_manifest(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A manifest that isn't JSON stops every command with its name, until it is mended."""
    spec(workplace, teacher.url, prompts=5)
    build = workplace.build()["build_id"]
    truncate(workplace.lake / "manifests" / "builds" / f"{build}.json")
    for command in (("build", "spec.yaml"), ("status",), ("show", "sums")):
        assert f"{build}.json: damaged" in refused(workplace, *command)
    done = workplace.run("doctor", "--repair", "--lake", str(workplace.lake))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"mended   lake: manifests/builds/{build}.json" in done.stdout
    assert workplace.build()["paid"] == 0


def test_a_repair_beside_a_build(workplace: Workplace) -> None:
    """While a build writes, a repair is refused in one line, and doctor says that it looks at nothing."""
    with LoopbackTeacher(delay_s=0.2) as teacher:
        spec(workplace, teacher.url, prompts=40, limits={"concurrency": 2})
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
        while teacher.sold == 0:
            assert running.poll() is None
        done = workplace.run("doctor", "--repair", "--lake", str(workplace.lake))
        assert (done.returncode, done.stdout) == (2, "")
        assert "a build is writing to it" in done.stderr
        assert doctor(workplace)[1]["lake"]["state"] == "note"
        running.terminate()
        assert running.wait(timeout=60) == 130
        running.communicate()
