"""A lake in a store and its working copies: what each machine sees, whoever died, and in whatever order."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import catalog
from storage.errors import LakeDamaged, StorageError
from storage.intents import Intents, new
from storage.journal import Journal
from storage.lake import Lake
from storage.parquet import write_rows
from storage.remote import replica as replicas
from storage.remote.lease import Lease
from storage.remote.objects import Found, Objects
from storage.remote.replica import Replica
from storage.repair import repair
from storage.rot import verify
from storage.schemas import SNAPSHOTS, TABLES
from storage.waste import Note, Waste, rows_of
from tests.fakes import listing, make_sample
from tests.storage.damaging import flip
from tests.storage.lines import line, segment

Machine = Callable[[str], Lake]


def stored(lake: Lake) -> list[str]:
    """Return the ids of the samples in a lake's parts, as often as they are there."""
    folder = Path(lake.glob("samples")).parent.parent
    return sorted(row for part in folder.glob("*.parquet") for row in pq.read_table(part)["sample_id"].to_pylist())


def keys(objects: Objects, prefix: str = "") -> list[str]:
    """Return the names of the objects."""
    return sorted(found.path for found in objects.list(prefix))


async def fill(lake: Lake, *ids: str, run: str = "r") -> None:
    """Have a run buy samples."""
    with lake.writing(pytest.fail):
        async with Journal(lake.journal, lake.root / "samples", run=run, mirror=lake.replica) as log:
            for identifier in ids:
                await log.append([make_sample(identifier)])


def land(lake: Lake, build_id: str, dataset: str = "d") -> None:
    """Land a build of one row a table."""
    staged = lake.staging / build_id
    for table in SNAPSHOTS:
        write_rows(staged / table / "part-00000.parquet", TABLES[table], [{"prompt_id": build_id}])
    lake.land({"dataset": dataset, "build_id": build_id, "created_at": "2026-01-01T00:00:00+00:00"}, staged)


async def test_what_one_machine_lands_another_sees(machine: Machine, objects: Objects):
    """Samples and a build are there for another machine: manifests at once, tables when they are asked for."""
    await fill(machine("a"), "s1", "s2")
    first = machine("a")
    with first.writing(pytest.fail):
        land(first, "one")
        catalog.write(first)
    second = machine("b")
    assert [build["build_id"] for build in second.builds("d")] == ["one"]
    assert listing(second.root / "samples") == ["_empty.parquet"]
    assert stored(second) == ["s1", "s2"]
    assert not (second.root / "traces").exists()
    assert listing(second.snapshot("traces", "d", "one")) == ["part-00000.parquet"]
    assert not any("catalog" in key or "lock" in key or "commit" in key for key in keys(objects))


async def test_a_manifest_is_last(machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """Whatever is refused on the way, nobody sees a build before all of it is there."""
    lake = machine("a")
    upload = objects.upload

    def refuse(path: str, file: Path, *, new: bool = False) -> object:
        if path.startswith("traces/"):
            raise StorageError("full")
        return upload(path, file, new=new)

    monkeypatch.setattr(objects, "upload", refuse)
    with pytest.raises(StorageError, match="full"), lake.writing(pytest.fail):
        land(lake, "one")
    assert keys(objects, "manifests") == []
    assert machine("b").builds() == lake.builds() == []
    monkeypatch.undo()
    with lake.writing(pytest.fail):
        pass
    assert keys(objects, "traces") == keys(objects, "manifests") == []  # no leftover either


async def test_a_disk_that_is_gone(machine: Machine, objects: Objects):
    """What was counted is in the store as commits: another machine makes the part that the dead one would have made."""
    lake = machine("a")
    with lake.writing(pytest.fail):
        log = Journal(lake.journal, lake.root / "samples", run="r", mirror=lake.replica)
        await log.__aenter__()
        await log.append([make_sample("s1")])
        await log.append([make_sample("s2")])
        left = {key: objects.get(key) for key in keys(objects, "journal/r-000000")}
        assert len(left) == 2
        await log.close()
    shutil.rmtree(lake.root)
    objects.delete([key for key in keys(objects, "samples") if "empty" not in key])
    for key, found in left.items():
        assert found is not None
        objects.put(key, found[0])
    second = machine("b")
    assert second.replica is not None
    assert second.replica.waiting
    assert second.recover_if_idle()
    assert stored(second) == ["s1", "s2"]
    assert "samples/r-000000.parquet" in keys(objects)
    assert not any("commit" in key for key in keys(objects))


CARRIED: Note = {"sample_id": "s1", "teacher": "t", "cost_usd": 0.5, "tokens_in": 10, "tokens_out": 20, "responses": 1}


@pytest.mark.parametrize("until", ["the commit", "the part", "all"])
async def test_what_a_sample_carries(machine: Machine, objects: Objects, until: str):
    """It counts once, however far a machine gets that is gone then, and with it what was to be swept yet."""
    lake = machine("a")
    with lake.writing(pytest.fail), Waste(lake.waste, run="r") as waste:
        assert lake.replica is not None
        log = Journal(lake.journal, lake.root / "samples", run="r", mirror=lake.replica)
        await log.__aenter__()
        waste.note(**CARRIED)
        lake.replica.keep(lake.waste / "r.jsonl")
        swept = objects.get("waste/r.jsonl")
        await log.append([make_sample("s1")], carries=[CARRIED], carried=lambda: waste.take_back([CARRIED]))
        left = {key: objects.get(key) for key in keys(objects, "journal/r-000000")}
        await log.settle()
        there = objects.get("waste/r.jsonl")
        await log.close()
    assert swept is not None
    assert there is not None
    for key, found in {**left, "waste/r.jsonl": swept}.items() if until != "all" else [("waste/r.jsonl", there)]:
        assert found is not None
        objects.put(key, found[0])
    if until == "the commit":
        objects.delete([key for key in keys(objects, "samples") if "empty" not in key])
    shutil.rmtree(lake.root)
    with machine("b").writing(pytest.fail):
        pass
    third = machine("c")
    assert stored(third) == ["s1"]
    assert sum(row["cost_usd"] for path in third.waste.glob("*.jsonl") for row in rows_of(path)) == 0
    assert not any("commit" in key for key in keys(objects))


def test_waste_that_was_sent_and_not_agreed_on(machine: Machine, objects: Objects):
    """What a killed run noted here after its last sweep is kept, and sent, also where it was killed before it knew of that."""
    lake = machine("a")
    with lake.writing(pytest.fail), Waste(lake.waste, run="r") as waste:
        waste.note(**CARRIED)
    with Waste(lake.waste, run="r") as waste:
        waste.note(**CARRIED)
        objects.put("waste/r.jsonl", (lake.waste / "r.jsonl").read_bytes())
        waste.note(**CARRIED)
    whole = (lake.waste / "r.jsonl").read_bytes()
    assert (machine("a").waste / "r.jsonl").read_bytes() == whole
    with machine("a").writing(pytest.fail):
        pass
    assert (machine("b").waste / "r.jsonl").read_bytes() == whole


async def test_a_machine_that_comes_back_late(machine: Machine, objects: Objects):
    """Its segment has what another machine recovered, and more: the rest is added once, and what was bought again isn't."""
    first = machine("a")
    with first.writing(pytest.fail):
        pass
    segment(first.journal, line("s1"), line("s2"), line("s3"), b"torn")
    objects.put("journal/r-000000/commit-000000", line("s1"))
    await fill(machine("b"), "s3", run="other")
    assert stored(machine("b")) == ["s1", "s3"]
    await fill(machine("a"), "s4", run="again")
    assert stored(machine("c")) == ["s1", "s2", "s3", "s4"]
    assert listing(first.journal, "*.jsonl") == []


async def test_a_part_that_was_made_twice(machine: Machine, objects: Objects):
    """A part that never got to the store, and of which another machine made one of that name, gives what that one lacks."""
    first = machine("a")
    with first.writing(pytest.fail):
        pass
    segment(first.journal, line("s1"), line("s2"))
    first._recover()  # the machine dies before it is sent
    objects.put("journal/r-000000/commit-000000", line("s1"))
    await fill(machine("b"), run="other")
    assert stored(machine("b")) == ["s1"]
    await fill(machine("a"), run="again")
    assert stored(machine("c")) == ["s1", "s2"]
    assert "samples/r-000000.late0.parquet" in keys(objects)


async def test_a_commit_that_arrives_after_its_part(machine: Machine, objects: Objects):
    """A put that was on its way when its machine was given up for dead is found by the next writer, and loses nothing."""
    await fill(machine("a"), "s1")
    objects.put("journal/r-000000/commit-000009", line("s2"))
    await fill(machine("b"), run="other")
    assert stored(machine("c")) == ["s1", "s2"]
    assert not any("commit" in key for key in keys(objects))


async def test_an_upload_that_was_cut_and_its_machine_gone(machine: Machine, objects: Objects):
    """Half a part in the store keeps nobody from what its commits say, nor the whole one here from taking its place."""
    first = machine("a")
    with first.writing(pytest.fail):
        pass
    segment(first.journal, line("s1"), line("s2"))
    first._recover()
    part = first.root / "samples" / "r-000000.parquet"
    objects.put("samples/r-000000.parquet", part.read_bytes()[:100])
    await fill(machine("a"), run="again")
    assert stored(machine("c")) == ["s1", "s2"]


def test_what_is_deleted_here_is_not_deleted_there(machine: Machine, objects: Objects):
    """A working copy that lost files, or all of them, gets them again, and the store loses nothing."""
    lake = machine("a")
    with lake.writing(pytest.fail):
        land(lake, "one")
    before = keys(objects)
    shutil.rmtree(lake.root / "traces")
    shutil.rmtree(lake.root / "samples")
    again = machine("a")
    with again.writing(pytest.fail):
        pass
    assert keys(objects) == before
    assert listing(again.snapshot("traces", "d", "one")) == ["part-00000.parquet"]


def test_what_is_removed_is_removed_everywhere(machine: Machine, objects: Objects):
    """A batch's note that one machine settles is gone for another that had it."""
    first = machine("a")
    with first.writing(pytest.fail):
        Intents(first.batches, keeper=first.replica).write(new(key="k", teacher="t", provider="p", model="m", items=[]))
    second = machine("b")
    assert [intent.key for intent in Intents(second.batches).all()] == ["k"]
    again = machine("a")
    with again.writing(pytest.fail):
        Intents(again.batches, keeper=again.replica).remove("k")
    assert keys(objects, "journal/batches") == []
    assert Intents(machine("b").batches).all() == []


def test_a_lake_that_was_emptied(machine: Machine, objects: Objects):
    """A store that has nothing any more is no reason to remove the last copy: it is said, and what to do."""
    lake = machine("a")
    with lake.writing(pytest.fail):
        land(lake, "one")
    objects.delete(keys(objects))
    with pytest.raises(StorageError, match=r"nothing is left there of a lake .* to have it sent there again"):
        machine("a")
    (lake.root / ".replica" / "known.jsonl").unlink()
    with machine("a").writing(pytest.fail):
        pass
    assert [build["build_id"] for build in machine("b").builds()] == ["one"]


def test_a_manifest_that_was_announced(machine: Machine, objects: Objects):
    """A writer that stopped between the lease and its manifest has landed its build: the next one puts it, and keeps its rows."""
    lake = machine("a")
    with lake.writing(pytest.fail):
        land(lake, "one")
    manifest = "manifests/builds/one.json"
    found = objects.get(manifest)
    assert found is not None
    objects.put(f"{replicas.LANDING}/one.json", found[0])
    objects.delete([manifest])
    with Lease(objects, "a").held(pytest.fail):
        pass
    announcing = Lease(objects, "a")
    with announcing.held(pytest.fail):
        announcing.announce(manifest)
    second = machine("b")
    with second.writing(pytest.fail):
        pass
    assert [build["build_id"] for build in machine("c").builds()] == ["one"]
    assert listing(machine("c").snapshot("traces", "d", "one")) == ["part-00000.parquet"]
    assert keys(objects, replicas.LANDING) == []


def test_a_reader_beside_a_writer(machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """What a writer sends, appends to and removes while another command looks at the same working copy stays as the writer has it."""
    lake, listed = machine("a"), objects.list
    with lake.writing(pytest.fail):
        assert lake.replica is not None
        waste = lake.root / "waste" / "r.jsonl"
        waste.parent.mkdir(exist_ok=True)
        intents = Intents(lake.batches, keeper=lake.replica)
        intents.write(new(key="k", teacher="t", provider="p", model="m", items=[]))
        objects.put("manifests/builds/elsewhere.json", b'{"dataset": "d", "build_id": "elsewhere"}')
        with waste.open("ab", buffering=0) as stream:
            stream.write(b"1\n")
            lake.replica.keep(waste)

            def meanwhile(prefix: str = "") -> list[Found]:
                stream.write(b"2\n")
                monkeypatch.setattr(objects, "list", listed)
                assert lake.replica is not None
                lake.replica.keep(waste)
                found = list(listed(prefix))
                lake.batches.joinpath("k.json").unlink()  # and only then from the store
                return found

            monkeypatch.setattr(objects, "list", meanwhile)
            Replica(objects, lake.root).refresh()
            stream.write(b"3\n")
        assert waste.read_bytes() == b"1\n2\n3\n"
        assert intents.all() == []
        assert (lake.root / "manifests" / "builds" / "elsewhere.json").exists()


async def test_repair_fetches_what_the_store_has_whole(machine: Machine, objects: Objects):
    """A part that this disk damaged comes from the store again; nothing goes to quarantine."""
    await fill(machine("a"), "s1", "s2")
    lake = machine("a")
    flip(lake.root / "samples" / "r-000000.parquet", group=0)
    done = repair(lake)
    assert done.moved == {}
    assert stored(machine("a")) == ["s1", "s2"]


async def test_repair_mends_both(machine: Machine, objects: Objects):
    """A part that is damaged in the store goes into quarantine there too, and no machine keeps it."""
    await fill(machine("a"), "s1", "s2")
    found = objects.get("samples/r-000000.parquet")
    assert found is not None
    objects.put("samples/r-000000.parquet", found[0][:-20])
    lake = machine("b")
    done = repair(lake)
    assert [path.name for path in done.moved] == ["r-000000.parquet", "_r-000000.footer"]
    assert stored(machine("c")) == ["s1", "s2"]
    assert "samples/r-000000.parquet" not in keys(objects)
    assert any(key.startswith("quarantine/") for key in keys(objects))


@pytest.mark.parametrize("step", [1, 2, 3])
async def test_a_repair_killed_while_it_removes(machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch, step: int):
    """Whenever a repair is killed, no other machine takes what it was putting aside for a part that somebody lost."""
    await fill(machine("a"), "s1", "s2")
    found = objects.get("samples/r-000000.parquet")
    assert found is not None
    objects.put("samples/r-000000.parquet", found[0][:-20])
    lake, delete, calls = machine("b"), Objects.delete, 0

    def dying(self: Objects, paths: list[str]) -> None:
        nonlocal calls
        calls += any(path.startswith("samples/") for path in paths)
        if calls == step:
            raise KeyboardInterrupt
        delete(self, paths)

    monkeypatch.setattr(Objects, "delete", dying)
    with pytest.raises(KeyboardInterrupt) if step < 3 else contextlib.nullcontext():
        repair(lake)
    monkeypatch.setattr(Objects, "delete", delete)
    for name in ("c", "b"):
        again = machine(name)
        again.glob("samples")
        assert again.missing() == []


async def test_a_part_that_the_store_has_lost(machine: Machine, objects: Objects):
    """A machine that doesn't have it stops, and one that does sends it again."""
    await fill(machine("a"), "s1", "s2")
    objects.delete(["samples/r-000000.parquet"])
    with machine("b").writing(pytest.fail), pytest.raises(LakeDamaged, match="isn't there any more, and its 2 rows with it"):
        verify(machine("b"), pytest.fail)
    with machine("a").writing(pytest.fail):
        pass
    assert stored(machine("b")) == ["s1", "s2"]


async def test_a_part_is_sent_before_its_footer(machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch):
    """Where a machine is killed over it, another one doesn't miss the part."""
    upload = Objects.upload

    def refuse(self: Objects, path: str, file: Path, *, new: bool = False) -> Found:
        if path == "samples/r-000000.parquet":
            raise StorageError("refused")
        return upload(self, path, file, new=new)

    monkeypatch.setattr(Objects, "upload", refuse)
    with pytest.raises(StorageError, match="refused"):
        await fill(machine("a"), "s1")
    monkeypatch.setattr(replicas, "AT_ONCE", 1)
    with pytest.raises(StorageError, match="refused"), machine("a").writing(pytest.fail):
        pass
    assert [key for key in keys(objects, "samples") if key.endswith("footer")] == []


def test_only_its_holder_writes(machine: Machine, objects: Objects):
    """Without the lease nothing is sent."""
    lake = machine("a")
    with lake.writing(pytest.fail):
        land(lake, "one")
    before = keys(objects)
    with pytest.raises(StorageError, match="only while its lease is held"):
        land(lake, "two")
    assert keys(objects) == before


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Working copies are told apart by URL and endpoint, and stand below a folder that the environment names."""
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    one = replicas.place("s3://bucket/lake")
    assert one.parent == tmp_path / "lakes"
    assert replicas.place("s3://bucket/other") != one
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert replicas.place("s3://bucket/lake") != one


async def test_columns_of_direct_queries(machine: Machine, objects: Objects, tmp_path: Path):
    """What DuckDB reads straight from the store is the lake: the same paths, and a file with the columns in each table."""
    await fill(machine("a"), "s1")
    for key in keys(objects, "samples"):
        found = objects.get(key)
        assert found is not None
        (tmp_path / key.replace("/", "-")).write_bytes(found[0])
    tables = [pq.read_table(tmp_path / name) for name in listing(tmp_path, "samples-*.parquet")]
    assert pa.concat_tables(tables, promote_options="default")["sample_id"].to_pylist() == ["s1"]
