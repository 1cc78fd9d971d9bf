"""What lies beside the rows in a folder, as everybody knows, and holds none."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_NAMES = re.compile(
    r"(readme|licen[cs]e|notice|copying|copyright|authors|contributors|citation|changelog|requirements|makefile|dockerfile"
    r"|(md5|sha\d*)sums?|checksums?)([-_].*)?(\.txt)?",
    re.IGNORECASE,
)
"""As LICENSE, LICENSE-data.txt and README.txt."""
_DESCRIPTIONS = {
    *("config.json", "dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"),
    *("dummy_data.zip", "croissant.json", "manifest.json"),
}
"""What `datasets` writes of a dataset beside it, or passes over, and what an export here writes."""
_ENDINGS = {
    *(".md", ".rst", ".html", ".htm", ".pdf", ".bib", ".cff", ".log"),
    *(".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".lock"),
    *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"),
    *(".md5", ".sha1", ".sha256", ".asc", ".sig", ".crc"),
}
"""Of texts for people, of code, of pictures and of checksums."""
_ROWS = {".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather"}


def aside(path: str) -> bool:
    """Return whether a file of a folder has no rows, by its name. Of any other that can't be read, nobody knows."""
    name = PurePosixPath(path)
    if _ROWS & set(map(str.lower, name.suffixes)):
        return bool({name.suffix.lower()} & _ENDINGS)  # train.jsonl.md5
    return name.name in _DESCRIPTIONS or name.suffix.lower() in _ENDINGS or _NAMES.fullmatch(name.name) is not None
