"""Notes of batches: on disk before a batch is sent, and gone once all that it may give is in the lake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.errors import StorageError
from storage.identity import sample_id
from storage.intents import Intents, Item, new, settle
from storage.journal import Journal
from storage.lake import Lake
from storage.workspace import Workspace
from tests.fakes import listing, make_sample

ITEMS = [Item("a", 0, 1), Item("a", 1, 2), Item("b", 0, 1)]
IDS = [item.ids for item in ITEMS]
INTENT = new(key="k", teacher="t", provider="openai-batch", model="m", items=ITEMS)


@pytest.fixture
def intents(lake: Lake) -> Intents:
    """Return a lake's notes."""
    return Intents(lake.batches)


async def land(lake: Lake, *ids: str) -> None:
    """Put samples into the lake."""
    async with Journal(lake.journal, lake.root / "samples", run="r") as journal:
        await journal.append([make_sample(each) for each in ids])


async def settled(lake: Lake, *ids: str) -> list[tuple[Item, ...]]:
    """Return what is left of the notes once these samples are in the lake."""
    with lake.writing(print), Workspace(lake, lake.staging / "w") as workspace:
        await land(lake, *ids)
        settle(Intents(lake.batches), workspace)
    return [intent.items for intent in Intents(lake.batches).all()]


class TestNotes:
    """Written and read."""

    def test_there_and_back(self, intents: Intents):
        """A note is read as it was written, and replaced by a later one of its key."""
        intents.write(INTENT)
        assert intents.all() == [INTENT]
        known = replace(INTENT, batch_id="b")
        intents.write(known)
        assert intents.all() == [known]

    def test_one_that_can_not_be_removed(self, intents: Intents):
        """It is a line that names the note."""
        intents.path("k").mkdir(parents=True)
        with pytest.raises(StorageError, match=r"k\.json: can't be written"):
            intents.remove("k")

    def test_oldest_first(self, intents: Intents):
        """Of two notes the newer one comes last, so that it counts."""
        intents.write(replace(INTENT, key="a", created_at=2.0))
        intents.write(replace(INTENT, key="b", created_at=1.0))
        assert [intent.key for intent in intents.all()] == ["b", "a"]

    def test_none(self, intents: Intents):
        """Where nothing was ever sent, there is no folder, and nothing is open."""
        assert intents.all() == []

    def test_removed(self, intents: Intents, lake: Lake):
        """A batch can be forgotten, also twice."""
        intents.write(INTENT)
        intents.remove("k")
        intents.remove("k")
        assert listing(lake.batches) == []

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"items": []}', "\0"], ids=repr)
    def test_damaged(self, intents: Intents, text: str):
        """A note that can't be read is an error that names the file: a batch must not be forgotten."""
        intents.write(INTENT)
        intents.path("k").write_text(text)
        with pytest.raises(StorageError, match=r"k\.json: damaged"):
            intents.all()


def test_ids():
    """A request has the ids of each of its samples."""
    assert Item("a", 3, 2).ids == [sample_id("a", 3), sample_id("a", 4)]


class TestSettling:
    """What the lake has needs no note."""

    async def test_all_there(self, intents: Intents, lake: Lake):
        """A note of which everything is in the lake is removed."""
        intents.write(INTENT)
        assert await settled(lake, *(each for ids in IDS for each in ids)) == []

    async def test_some_there(self, intents: Intents, lake: Lake):
        """What is in the lake is struck out, and the rest stays."""
        intents.write(INTENT)
        assert await settled(lake, *IDS[1]) == [(ITEMS[0], ITEMS[2])]

    async def test_part_of_a_request_there(self, intents: Intents, lake: Lake):
        """A request stays until all of its samples are in the lake: another run may want the others."""
        intents.write(INTENT)
        assert await settled(lake, *IDS[0], *IDS[1][:1]) == [(ITEMS[1], ITEMS[2])]

    async def test_nothing_there(self, intents: Intents, lake: Lake):
        """What is nowhere stays as it is."""
        intents.write(INTENT)
        assert await settled(lake, "f" * 32) == [INTENT.items]
