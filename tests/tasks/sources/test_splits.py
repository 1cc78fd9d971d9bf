"""A folder as a source: Hugging Face's layouts, read without its library, and any folder of files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from tests.tasks.sources.house import jsonl, text, texts


@pytest.fixture(autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


def dataset(*prompts: str) -> datasets.Dataset:
    """Return a dataset of the library's."""
    return datasets.Dataset.from_dict({"prompt": list(prompts)})


def parquet(folder: Path, name: str, *prompts: str) -> None:
    """Write a Parquet file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"prompt": list(prompts)}), path)


def readme(folder: Path, head: Any) -> None:
    """Write a repository's README; JSON is YAML too."""
    text(folder, f"---\n{json.dumps(head)}\n---\n# A card\n", "README.md")


class TestSaved:
    """What `save_to_disk` writes."""

    def test_one(self, tmp_path: Path):
        """A dataset's files are read in its order."""
        dataset(*map(str, range(25))).save_to_disk(tmp_path / "d", num_shards=12)
        assert texts(tmp_path / "d") == list(map(str, range(25)))

    def test_splits(self, tmp_path: Path):
        """Of several splits one is named."""
        datasets.DatasetDict(train=dataset("a", "b"), test=dataset("c")).save_to_disk(tmp_path / "d")
        assert texts(tmp_path / "d", split="train") == ["a", "b"]
        assert texts(tmp_path / "d", split="test") == ["c"]
        with pytest.raises(SourceError, match=r"d: has several splits \(train, test\): name one, as in `split: train`$"):
            texts(tmp_path / "d")
        with pytest.raises(SourceError, match=r"d: has no split 'tset'; did you mean 'test'\?$"):
            texts(tmp_path / "d", split="tset")

    def test_only_one_split(self, tmp_path: Path):
        """Where there is but one, it needs no name."""
        datasets.DatasetDict(train=dataset("a")).save_to_disk(tmp_path / "d")
        assert texts(tmp_path / "d") == ["a"]

    def test_what_it_has_not(self, tmp_path: Path):
        """A dataset without splits has none to name, and a saved one no configs."""
        dataset("a").save_to_disk(tmp_path / "d")
        with pytest.raises(SourceError, match=r"d: has no splits; leave `split` out"):
            texts(tmp_path / "d", split="train")
        with pytest.raises(SourceError, match=r"has no configs; leave `config` out"):
            texts(tmp_path / "d", config="main")

    def test_a_file_that_is_gone(self, tmp_path: Path):
        """A file that is listed and not there isn't passed over."""
        dataset("a", "b").save_to_disk(tmp_path / "d", num_shards=2)
        (tmp_path / "d" / "data-00001-of-00002.arrow").unlink()
        with pytest.raises(SourceError, match=r"d/data-00001-of-00002\.arrow: no such file, and state\.json lists it"):
            texts(tmp_path / "d")


class TestRepository:
    """A repository that was downloaded."""

    def test_readme(self, tmp_path: Path):
        """The README's head says which files are a config's split."""
        for config in ("main", "other"):
            parquet(tmp_path, f"{config}/train-00000-of-00001.parquet", f"{config} train")
            parquet(tmp_path, f"{config}/test-00000-of-00001.parquet", f"{config} test")
        files = [{"split": split, "path": f"main/{split}-*"} for split in ("train", "test")]
        other = [{"split": "train", "path": ["other/train-*", "other/test-*"]}]
        configs = [{"config_name": "main", "data_files": files}, {"config_name": "other", "data_files": other}]
        readme(tmp_path, {"license": "mit", "configs": configs})
        assert texts(tmp_path, config="main", split="test") == ["main test"]
        assert texts(tmp_path, config="other") == ["other train", "other test"]
        with pytest.raises(SourceError, match=r"has several configs \(main, other\): name one, as in `config: main`"):
            texts(tmp_path)
        readme(tmp_path, {"configs": [configs[0], configs[1] | {"default": True}]})
        assert texts(tmp_path) == ["other train", "other test"]

    @pytest.mark.parametrize(
        "given", ["x/*.jsonl", ["x/a.jsonl", "./x/b.jsonl"], [{"split": "test", "path": "**/*.jsonl"}], {"test": "x/[ab].jsonl"}]
    )
    def test_forms_of_data_files(self, tmp_path: Path, given: Any):
        """Files are named by a pattern, a list of them, or by split."""
        jsonl(tmp_path, {"prompt": "a"}, name="x/a.jsonl")
        jsonl(tmp_path, {"prompt": "b"}, name="x/b.jsonl")
        readme(tmp_path, {"configs": [{"config_name": "default", "data_files": given}]})
        assert texts(tmp_path) == ["a", "b"]

    def test_data_dir(self, tmp_path: Path):
        """A config may be a folder."""
        jsonl(tmp_path, {"prompt": "a"}, name="x/train.jsonl")
        jsonl(tmp_path, {"prompt": "b"}, name="y/train.jsonl")
        readme(tmp_path, {"configs": [{"config_name": "x", "data_dir": "x"}]})
        assert texts(tmp_path) == ["a"]

    def test_a_readme_that_lists_what_isn_t_there(self, tmp_path: Path):
        """A pattern without files is told."""
        readme(tmp_path, {"configs": [{"config_name": "x", "data_files": "data/*.parquet"}]})
        with pytest.raises(SourceError, match=r"/data/\*\.parquet: no such file, and the README lists it"):
            texts(tmp_path)

    def test_a_split_that_stands_twice(self, tmp_path: Path):
        """Files of a split that a README lists in two entries would be lost, so it is told."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        jsonl(tmp_path, {"prompt": "b"}, name="b.jsonl")
        files = [{"split": "train", "path": "a.jsonl"}, {"split": "train", "path": "b.jsonl"}]
        readme(tmp_path, {"configs": [{"config_name": "x", "data_files": files}]})
        with pytest.raises(SourceError, match=r"README\.md: `data_files` has the split 'train' twice; list its paths together"):
            texts(tmp_path)

    def test_a_config_without_a_name(self, tmp_path: Path):
        """Files that a config without a name lists aren't those of the folder."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        readme(tmp_path, {"configs": [{"data_files": "a.jsonl"}]})
        with pytest.raises(SourceError, match=r"README\.md: `configs` lists one without a `config_name`"):
            texts(tmp_path)

    def test_several_kinds(self, tmp_path: Path):
        """The same rows in two forms would count twice, also where a README's pattern matches both."""
        jsonl(tmp_path, {"prompt": "a"}, name="data/a.jsonl")
        parquet(tmp_path, "data/a.parquet", "a")
        readme(tmp_path, {"configs": [{"config_name": "x", "data_files": "data/*"}]})
        with pytest.raises(SourceError, match=r"has \.jsonl and \.parquet files; name those of one kind"):
            texts(tmp_path)

    def test_a_byte_order_mark(self, tmp_path: Path):
        """A README that begins with one has its head all the same."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        jsonl(tmp_path, {"prompt": "b"}, name="b.jsonl")
        readme(tmp_path, {"configs": [{"config_name": "x", "data_files": "b.jsonl"}]})
        (tmp_path / "README.md").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "README.md").read_bytes())
        assert texts(tmp_path) == ["b"]

    @pytest.mark.parametrize("head", ["---\n: {\n---\n", "---\nconfigs: 4\n---\n", "# No head\n"])
    def test_a_readme_that_says_nothing(self, tmp_path: Path, head: str):
        """Without a list of configs names tell; a head that isn't YAML is told."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        text(tmp_path, head, "README.md")
        if ": {" in head:
            with pytest.raises(SourceError, match=r"README\.md: its head isn't YAML"):
                texts(tmp_path)
        else:
            assert texts(tmp_path) == ["a"]

    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
            ("train.parquet", "test.parquet"),
            ("my_train_data.parquet", "my-eval-data.parquet"),
            ("train/0.parquet", "test/0.parquet"),
            ("training-set/train.parquet", "testing/train.parquet"),
        ],
    )
    def test_names(self, tmp_path: Path, train: str, test: str):
        """Without a README, names of files and folders tell splits apart, as in the library."""
        parquet(tmp_path, train, "a")
        parquet(tmp_path, test, "b")
        assert texts(tmp_path, split="train") == ["a"]
        assert texts(tmp_path, split="test") == ["b"]
        theirs = datasets.load_dataset(str(tmp_path), cache_dir=str(tmp_path / ".cache"))
        assert {name: each["prompt"][:] for name, each in theirs.items()} == {"train": ["a"], "test": ["b"]}
        with pytest.raises(SourceError, match=r"has several splits \((train, test|test, train)\)"):
            texts(tmp_path)

    @pytest.mark.parametrize(
        ("names", "split"),
        [
            (["data/train-00000-of-00001.parquet", "extra.parquet"], None),
            (["data/train-00000-of-00001.parquet", "data/extra.parquet", "test.parquet"], None),
            (["main/data/hard-00000-of-00001.parquet", "main/data/easy-00000-of-00001.parquet"], "train"),
            (["train.parquet", "corpus.parquet"], "train"),
            (["train/a.parquet", "other/b.parquet"], "train"),
            (["valid.parquet", "val/x.parquet"], "validation"),
            (["train/validation/a.parquet", "test/b.parquet"], "validation"),
            (["train-test.parquet"], "test"),
        ],
        ids=str,
    )
    def test_as_the_library_reads(self, tmp_path: Path, names: list[str], split: str | None):
        """Where names tell the splits of some files alone, or tell two, the rows are those that the library reads."""
        for name in names:
            parquet(tmp_path / "d", name, name)
        theirs = datasets.load_dataset(str(tmp_path / "d"), split=split or "train", cache_dir=str(tmp_path / "cache"))
        assert sorted(texts(tmp_path / "d", split=split)) == sorted(theirs["prompt"])

    def test_names_that_tell_one_split(self, tmp_path: Path):
        """Of files beside it nobody can say whether they are meant, so the split is named."""
        parquet(tmp_path, "train.parquet", "a")
        parquet(tmp_path, "corpus.parquet", "b")
        with pytest.raises(
            SourceError, match=r"the split 'train' of some files, and none of corpus\.parquet: name the split, as in `spl"
        ):
            texts(tmp_path)

    def test_splits_of_any_name(self, tmp_path: Path):
        """Shards below `data` name their split themselves."""
        parquet(tmp_path, "data/hard-00000-of-00002.parquet", "a")
        parquet(tmp_path, "data/hard-00001-of-00002.parquet", "b")
        parquet(tmp_path, "data/easy-00000-of-00001.parquet", "c")
        assert texts(tmp_path, split="hard") == ["a", "b"]

    def test_config_as_a_folder(self, tmp_path: Path):
        """Without a README a config is a folder's name."""
        parquet(tmp_path, "main/train-00000-of-00001.parquet", "a")
        parquet(tmp_path, "other/train-00000-of-00001.parquet", "b")
        assert texts(tmp_path, config="other") == ["b"]


class TestPlain:
    """Any other folder."""

    def test_all_files(self, tmp_path: Path):
        """All files that have rows are read, in the order of their paths; hidden ones aren't."""
        jsonl(tmp_path, {"prompt": "b"}, name="b/1.jsonl")
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        jsonl(tmp_path, {"prompt": "no"}, name=".hidden/a.jsonl")
        jsonl(tmp_path, {"prompt": "no"}, name="_tmp.jsonl")
        assert texts(tmp_path) == texts(f"{tmp_path}/") == ["a", "b"]

    @pytest.mark.parametrize(
        "name", ["b.txt", "b.jsonl.zip", "b.jsonl.lz4", "b.parquet.gz", "part-00001", "old/b.jsonl.bak", "b.xml"]
    )
    @pytest.mark.parametrize("listed", [False, True])
    def test_what_can_t_be_read(self, tmp_path: Path, name: str, listed: bool):
        """A file beside them that may have rows, and can't be read, is told: they would be missing without a word."""
        jsonl(tmp_path, {"prompt": "a"}, name="d/a.jsonl")
        (tmp_path / "d" / name).parent.mkdir(exist_ok=True)
        text(tmp_path / "d", "b", name)
        if listed:
            readme(tmp_path / "d", {"configs": [{"config_name": "x", "data_files": "**"}]})
        with pytest.raises(SourceError) as caught:
            texts(tmp_path / "d")
        assert str(caught.value) == (
            f"{tmp_path}/d/{name}: can't be read, and lies beside files that can: name those that are meant, as in "
            f"{tmp_path}/d/*.jsonl, or take it away"
        )

    @pytest.mark.parametrize("listed", [False, True])
    def test_what_lies_beside(self, tmp_path: Path, listed: bool):
        """What everybody knows to have no rows is in nobody's way."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        for name in (
            *(
                "README.md",
                "README.txt",
                "readme",
                "LICENSE",
                "LICENSE-data.txt",
                "LICENCE.txt",
                "NOTICE",
                "CITATION.cff",
                "card.pdf",
            ),
            *(
                "dataset_infos.json",
                "dataset_info.json",
                "config.json",
                "manifest.json",
                "croissant.json",
                "SHA256SUMS",
                "dummy_data.zip",
            ),
            *(
                ".gitattributes",
                ".DS_Store",
                "_SUCCESS",
                "load.py",
                "requirements.txt",
                "shot.PNG",
                "a.jsonl.lock",
                "a.jsonl.md5",
            ),
        ):
            text(tmp_path, "-", name)
        if listed:
            readme(tmp_path, {"configs": [{"config_name": "x", "data_files": "*"}]})
        assert texts(tmp_path) == texts(tmp_path / "*") == ["a"]

    def test_a_pattern_that_finds_more(self, tmp_path: Path):
        """A pattern's file that can't be read is told as well; one that names an ending means all that it finds."""
        jsonl(tmp_path, {"prompt": "a"}, name="_a.jsonl")
        jsonl(tmp_path, {"prompt": "b"}, name="config.json")
        assert texts(tmp_path / "*") == ["a"]
        assert texts(tmp_path / "*.json") == ["b"]
        text(tmp_path, "b", "b.txt")
        with pytest.raises(SourceError, match=r"/b\.txt: can't read \.txt; use"):
            texts(tmp_path / "*")

    def test_another_split_s_file(self, tmp_path: Path):
        """One that can't be read is in nobody's way where its name is another split's."""
        jsonl(tmp_path, {"prompt": "a"}, name="train.jsonl")
        text(tmp_path, "b", "test.txt")
        assert texts(tmp_path, split="train") == ["a"]
        with pytest.raises(SourceError, match=r"test\.txt: can't read \.txt; use"):
            texts(tmp_path, split="test")

    def test_linked_folders(self, tmp_path: Path):
        """A link to a folder is that folder; one that leads back is passed over."""
        jsonl(tmp_path, {"prompt": "a"}, name="elsewhere/_kept/a.jsonl")
        jsonl(tmp_path, {"prompt": "b"}, name="d/b.jsonl")
        (tmp_path / "d" / "linked").symlink_to(tmp_path / "elsewhere" / "_kept")
        (tmp_path / "elsewhere" / "_kept" / "back").symlink_to(tmp_path / "d")
        assert texts(tmp_path / "d") == ["b", "a"]

    @pytest.mark.parametrize("pattern", ["", "*.jsonl"])
    def test_links_to_nothing(self, tmp_path: Path, pattern: str):
        """A link whose file is gone isn't passed over, in a folder or by a pattern."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        (tmp_path / "b.jsonl").symlink_to(tmp_path / "blob")
        with pytest.raises(SourceError, match=r"/b\.jsonl: is a link to a file that isn't there$"):
            texts(tmp_path / pattern)

    @pytest.mark.parametrize("pattern", ["", "*.jsonl"])
    def test_pipes(self, tmp_path: Path, pattern: str):
        """Nor is a pipe waited for."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        os.mkfifo(tmp_path / "b.jsonl")
        with pytest.raises(SourceError, match=r"/b\.jsonl: is no file but a pipe or a device"):
            texts(tmp_path / pattern)

    def test_from_within(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The folder may be the one in which the command runs."""
        jsonl(tmp_path, {"prompt": "a"}, name="sub/a.jsonl")
        monkeypatch.chdir(tmp_path)
        assert texts(".") == ["a"]

    def test_train_is_all(self, tmp_path: Path):
        """Where names tell no splits, everything is `train`, as in the library."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        assert texts(tmp_path, split="train") == ["a"]
        with pytest.raises(SourceError, match=r"has no split 'test'; known: none"):
            texts(tmp_path, split="test")

    def test_several_kinds(self, tmp_path: Path):
        """The same rows in two forms would count twice, so one is named."""
        jsonl(tmp_path, {"prompt": "a"}, name="a.jsonl")
        parquet(tmp_path, "a.parquet", "a")
        with pytest.raises(SourceError, match=r"has \.jsonl and \.parquet files; name those of one kind, as in .*/\*\.jsonl$"):
            texts(tmp_path)
        parquet(tmp_path, "b.parquet", "b")
        with pytest.raises(SourceError, match=r"name those of one kind, as in .*/\*\.parquet$"):  # of which there are more
            texts(tmp_path)

    def test_nothing_to_read(self, tmp_path: Path):
        """A folder without such files is told, with what can be read."""
        text(tmp_path, "notes", "notes.txt")
        with pytest.raises(SourceError, match=r"no files in it that can be read, such as \*\.jsonl; what can be is \.jsonl"):
            texts(tmp_path)

    def test_a_lake(self, tmp_path: Path):
        """A lake is named as one."""
        jsonl(tmp_path, {}, name="manifests/builds/b.json")
        with pytest.raises(SourceError, match=rf"is a lake; name a dataset of it, as in `source: lake:{tmp_path}#DATASET`"):
            texts(tmp_path)

    @pytest.mark.parametrize("option", ["split", "config"])
    def test_a_file_has_no_splits(self, tmp_path: Path, option: str):
        """A split of a file is a mistake."""
        path = jsonl(tmp_path, {"prompt": "a"})
        with pytest.raises(SourceError, match=rf"p\.jsonl: only a folder has a {option}, and this is a file"):
            texts(path, **{option: "train"})
