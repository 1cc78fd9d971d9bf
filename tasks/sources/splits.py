"""Which files of a folder are wanted: of Hugging Face's layouts, those of one split; of any other, all.

A folder that `save_to_disk` wrote lists its Arrow files in `state.json`, below `dataset_dict.json` where there are splits. A
repository's README lists configs in its head (https://huggingface.co/docs/hub/datasets-manual-configuration). Else names tell, by
the rules of `datasets` (https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import yaml

from storage.errors import SourceError
from storage.plugins import nearest
from tasks.sources.asides import aside
from tasks.sources.file import File
from tasks.sources.readers import READERS, readable

HIDDEN = re.compile(r"(?:^|/)[._]")
"""Begins a name, or stands in a path, that isn't meant."""
_SHARD = re.compile(r"^data/(\w+(?:\.\w+)*)-[0-9]{5}-of-[0-9]{5}[^/]*$")
_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_NAMES = {split: re.compile(rf"(?:^|[/\-._ 0-9])(?:{'|'.join(words)})(?:[/\-._ 0-9]|$)") for split, words in _WORDS.items()}
_HEAD = 1 << 20
"""Bytes of a README that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder and all files below it."""

    name: str
    """For messages: its path or URL."""
    files: Mapping[str, File]
    """By their paths in it, in the order of these; hidden ones, and those that begin with _, are left out."""

    @classmethod
    def of(cls, name: str, files: Mapping[str, File]) -> Self:
        """Return a folder of these files, by their paths in it."""
        shown = {path: file for path, file in sorted(files.items()) if not HIDDEN.search(path)}
        return cls(name=name, files=shown)

    def within(self, path: str) -> Folder:
        """Return the folder at a path in it."""
        path = path.strip("/")
        if path in {"", "."}:
            return self
        inside = {name.removeprefix(f"{path}/"): file for name, file in self.files.items() if name.startswith(f"{path}/")}
        return Folder(name=f"{self.name}/{path}", files=inside)

    def json(self, path: str) -> Any:
        """Return what a JSON file in it says."""
        try:
            return json.loads(self._text(path))
        except ValueError as error:
            raise SourceError(f"{self.files[path].name}: not JSON: {error}") from error

    def _text(self, path: str) -> str:
        file = self.files[path]
        try:
            with file.open() as stream:
                return stream.read(_HEAD).decode("utf-8-sig", errors="replace")
        except OSError as error:
            raise SourceError(f"{file.name}: can't be read: {error.strerror or error}") from error

    def configs(self) -> list[dict[str, Any]]:
        """Return the configs that its README lists; none where there is none, or it lists none."""
        if "README.md" not in self.files:
            return []
        head = re.match(r"\s*---\r?\n(.*?)\r?\n---\s*(?:\n|$)", self._text("README.md"), re.DOTALL)
        try:
            said = yaml.safe_load(head[1]) if head else None
        except yaml.YAMLError as error:
            raise SourceError(f"{self.files['README.md'].name}: its head isn't YAML") from error
        listed = said.get("configs") if isinstance(said, dict) else None
        if not isinstance(listed, list):
            return []
        for each in listed:
            if not isinstance(each, dict) or not each.get("config_name"):
                raise SourceError(f"{self.files['README.md'].name}: `configs` lists one without a `config_name`")
        return listed


def chosen(folder: Folder, *, split: str | None, config: str | None) -> list[File]:
    """Return the files of a split. Raise SourceError where there is none of that name, or none is named and there are several."""
    if any(path.startswith("manifests/builds/") for path in folder.files):
        raise SourceError(f"{folder.name}: is a lake; name a dataset of it, as in `source: lake:{folder.name}#DATASET`")
    if {"dataset_dict.json", "state.json"} & folder.files.keys():
        if config is not None:
            raise SourceError(f"{folder.name}: what `save_to_disk` wrote has no configs; leave `config` out")
        return _saved(folder, split)
    if configs := folder.configs():
        return _configured(folder, configs, split=split, config=config)
    if config is not None:
        folder = folder.within(config)
    return _by_name(folder, split)


def _saved(folder: Folder, split: str | None) -> list[File]:
    if "dataset_dict.json" in folder.files:
        named = folder.json("dataset_dict.json").get("splits", [])
        folder = folder.within(_pick(named, split, "split", folder))
        if "state.json" not in folder.files:
            raise SourceError(f"{folder.name}: no state.json in it, which `save_to_disk` writes")
    elif split is not None and (own := folder.json("state.json").get("_split")) != split:
        raise SourceError(f"{folder.name}: has no splits{f' but {own!r}' if own else ''}; leave `split` out")
    listed = [each["filename"] for each in folder.json("state.json").get("_data_files", [])]
    lacking = [name for name in listed if name not in folder.files]
    if lacking:
        raise SourceError(f"{folder.name}/{lacking[0]}: no such file, and state.json lists it")
    return [folder.files[name] for name in listed]


def _configured(folder: Folder, configs: Sequence[Mapping[str, Any]], *, split: str | None, config: str | None) -> list[File]:
    by_name = {str(each["config_name"]): each for each in configs}
    usual = [name for name, each in by_name.items() if each.get("default") or name == "default"]
    one = by_name[_pick(list(by_name), config or (usual[0] if usual else None), "config", folder)]
    base = folder.within(str(one.get("data_dir") or ""))
    if "data_files" not in one:
        return _by_name(base, split)
    given = one["data_files"]
    match given:
        case dict():
            patterns = given
        case [*each] if all(isinstance(entry, dict) for entry in each):
            named = [str(entry.get("split", "train")) for entry in each]
            if twice := next((name for place, name in enumerate(named) if name in named[:place]), None):
                raise SourceError(f"{folder.name}/README.md: `data_files` has the split {twice!r} twice; list its paths together")
            patterns = {name: entry.get("path") for name, entry in zip(named, each, strict=True)}
        case _:
            patterns = {"train": given}
    wanted = patterns[_pick(list(patterns), split, "split", folder)]
    return _matching(base, [wanted] if isinstance(wanted, str) else wanted)


def _matching(folder: Folder, patterns: Any) -> list[File]:
    from fsspec.utils import glob_translate

    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise SourceError(f"{folder.name}/README.md: `data_files` must name files, as in data/train-*.parquet")
    found = []
    for pattern in patterns:
        matches = re.compile(glob_translate(pattern.removeprefix("./"))).match
        matched = [path for path in folder.files if matches(path)]
        if not matched:
            raise SourceError(f"{folder.name}/{pattern}: no such file, and the README lists it")
        found += [path for path in matched if path not in found]
    return _of_one_kind(folder, [folder.files[path] for path in found if not aside(path)])


def _by_name(folder: Folder, split: str | None) -> list[File]:
    files = {path: file for path, file in folder.files.items() if not aside(path)}
    usual = next((file.endings[0] for file in files.values() if readable(file)), None)
    if usual is None:
        raise SourceError(f"{folder.name}: no files in it that can be read, such as *.jsonl; what can be is {', '.join(READERS)}")
    splits, others = _splits(list(files))
    if not splits and split in {None, "train"}:
        return _of_one_kind(folder, list(files.values()))
    if split is None and len(splits) == 1 and others:
        (name,) = splits
        raise SourceError(
            f"{folder.name}: names tell the split {name!r} of some files, and none of {others[0]}: "
            f"name the split, as in `split: {name}`, or the files, as in {folder.name}/*{usual}"
        )
    return _of_one_kind(folder, [files[path] for path in splits[_pick(list(splits), split, "split", folder)]])


def _splits(paths: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the files of each split, and those that are in none though others are.

    Shards below `data` go before all, and are meant alone; folders' names go before files'. What has the names of two is in both.
    """
    found: dict[str, list[str]] = {}
    for path in paths:
        if shard := _SHARD.match(path):
            found.setdefault(shard[1], []).append(path)
    if found:
        return found, []
    for part in (0, 2):  # of what `rpartition` returns
        for path in paths:
            for split, names in _NAMES.items():
                if names.search(path.rpartition("/")[part]):
                    found.setdefault(split, []).append(path)
        if found:
            known = {path for named in found.values() for path in named}
            return found, [path for path in paths if path not in known]
    return {}, []


def _of_one_kind(folder: Folder, files: list[File]) -> list[File]:
    """Return files that have one form: the same rows often lie beside each other in several.

    Raise SourceError where one can't be read too: what is in it would be missing without a word.
    """
    kinds = Counter(file.endings[0] for file in files if readable(file))
    usual = max(sorted(kinds), key=kinds.__getitem__, default="")
    if other := next((file for file in files if not readable(file)), None) if kinds else None:
        raise SourceError(
            f"{other.name}: can't be read, and lies beside files that can: name those that are meant, as in "
            f"{folder.name}/*{usual}, or take it away"
        )
    if len(kinds) > 1:
        raise SourceError(
            f"{folder.name}: has {' and '.join(sorted(kinds))} files; name those of one kind, as in {folder.name}/*{usual}"
        )
    return files


def _pick(names: Sequence[str], wanted: str | None, what: str, folder: Folder) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    known = ", ".join(map(str, names)) or "none"
    if wanted is None:
        example = next(iter(names), "train")
        raise SourceError(f"{folder.name}: has several {what}s ({known}): name one, as in `{what}: {example}`")
    if wanted not in names:
        raise SourceError(f"{folder.name}: has no {what} {wanted!r}; {nearest(wanted, names)}")
    return wanted
