"""The card of an export: README.md as the Hugging Face Hub reads it, a YAML head and a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import yaml

from storage.wording import counted
from tasks.exports.contents import Contents
from tasks.exports.mix import MIXED
from tasks.exports.notice import acknowledgements, credits_of, duties, link
from tasks.license import identifiers

_LICENSES = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
    ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa
    odbl odc-by ofl-1.1 osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
"""The Hub's names for licences that have an SPDX id, as its documentation lists them (read in November 2026)."""
_OTHER_NAMES = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_LARGER = ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"))
_LISTED = 50
"""Prompt sources that the card lists; NOTICE has all."""


def card(contents: Contents) -> str:
    """Return the text of README.md."""
    head = yaml.safe_dump(_head(contents), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n" + "\n".join(_text(contents)) + "\n"


def hub_license(expression: str) -> str | None:
    """Return the Hub's name of a licence; None where it has none, as for what consists of several."""
    name = re.sub(r"-(only|or-later)$", "", expression.strip().casefold())
    name = _OTHER_NAMES.get(name, name)
    return name if name in _LICENSES.split() else None


def _head(contents: Contents) -> dict[str, Any]:
    manifest, expression = contents.manifest, contents.licensing.license
    known = hub_license(expression)
    named = re.sub(r"[^a-z0-9.]+", "-", expression.casefold()).strip("-")
    head: dict[str, Any] = {"pretty_name": contents.dataset}
    head |= {"license": known} if known else {"license": "other", "license_name": named, "license_link": "LICENSE"}
    languages = sorted(set(_languages(contents.spec.get("verify", ()))))
    if languages:
        head["language"] = languages
    rows = manifest["rows"]
    size = next((name for above, name in (*_SIZES, *_LARGER) if rows < above), "n>1T")
    models = sorted({str(each["model"]) for each in [*contents.licensing.teachers, *contents.licensing.scorers]})
    head |= {
        "size_categories": [size],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "distillation", "stillhouse", *models],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{split}-*.{manifest['file']}"} for split in manifest["splits"]],
            }
        ],
    }
    features = [_feature(field.name, field.type) for field in contents.schema]
    if manifest["file"] == "tar":
        # Without them, readers guess types by the first rows, and fail where a text that was null there comes later.
        text = {"dtype": "string"}
        features = [{"name": "__key__"} | text, {"name": "__url__"} | text, {"name": "json", "struct": features}]
    head["dataset_info"] = {
        "config_name": "default",
        "features": features,
        "splits": [
            {"name": name, "num_bytes": _bytes(manifest, name), "num_examples": split["rows"]}
            for name, split in manifest["splits"].items()
        ],
        "download_size": sum(shard["bytes"] for shard in manifest["shards"]),
        "dataset_size": sum(_bytes(manifest, name) for name in manifest["splits"]),
    }
    return head


def _bytes(manifest: Mapping[str, Any], split: str) -> int:
    return sum(shard["bytes"] for shard in manifest["shards"] if shard["split"] == split)


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    """Return a column as `datasets` writes it into a card."""
    return {"name": name} | _typed(kind)


def _typed(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _typed(kind.value_type)
        # A list of structs is written by its fields, a list of scalars by its type.
        return {"list": inner["struct"] if "struct" in inner else inner.get("dtype", inner)}
    if pa.types.is_struct(kind):
        return {"struct": [_feature(field.name, field.type) for field in kind]}
    return {"dtype": {"double": "float64", "float": "float32", "halffloat": "float16"}.get(str(kind), str(kind))}


def _languages(verifiers: Any) -> Iterator[str]:
    """Yield what `use: language` lets pass, wherever it stands among verifiers."""
    if isinstance(verifiers, Mapping):
        if verifiers.get("use") == "language":
            yield from map(str, verifiers.get("expect", ()))
        yield from _languages(list(verifiers.values()))
    elif isinstance(verifiers, Sequence) and not isinstance(verifiers, str):
        for each in verifiers:
            yield from _languages(each)


def _text(contents: Contents) -> Iterator[str]:
    build, manifest, licensing = contents.build, contents.manifest, contents.licensing
    models = ", ".join(_code(each["model"]) for each in licensing.teachers) or "no model"
    yield f"# {contents.dataset}"
    yield ""
    people = sum(each["rows"] for each in manifest["mix"])
    yield (
        f"{counted(manifest['rows'], 'row')} in the form `{manifest['format']}`: responses of {models} to prompts, "
        f"{'verified and ' if contents.judged else ''}selected by stillhouse "
        f"{build.get('version', '')} (build `{build['build_id']}`). "
        + (
            f"{people:,} of them {'was' if people == 1 else 'were'} written by people; all others are synthetic."
            if people
            else "All responses are synthetic."
        )
    )
    yield from _built_with(contents)
    yield from _section("How to load it", _loading(manifest))
    yield from _section("How it was made", _made(contents))
    yield from _section("What became of every sample", _outcomes(contents))
    yield from _section("Licences and terms", _rights(contents))
    yield from _section("Generations", _generations(contents))
    yield from _section("Limits", _limits(contents))


def _built_with(contents: Contents) -> Iterator[str]:
    """Yield the names that terms want to see in a prominent place."""
    licensing = contents.licensing
    teachers = [*licensing.teachers, *licensing.scorers, *licensing.origins]
    said = [*licensing.notices, *(duty for each in teachers for duty in duties(each))]
    for name in sorted({name for duty in said for name in re.findall(r"[\"“]?(Built with [A-Z]\w+)", duty)}):
        yield ""
        yield f"**{name}**"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"## {title}", *lines)


def _loading(manifest: Mapping[str, Any]) -> Iterator[str]:
    first = next(iter(manifest["splits"]))
    yield "```python"
    if manifest["file"] == "tar":
        yield "import webdataset"
        names = sorted(shard["file"] for shard in manifest["shards"] if shard["split"] == first)
        braces = f"{{00000..{len(names) - 1:05d}}}-of-{len(names):05d}"
        yield f'rows = webdataset.WebDataset("FOLDER/{first}-{braces}.tar", shardshuffle=False).decode()'
    else:
        yield "from datasets import load_dataset"
        yield f'rows = load_dataset("FOLDER_OR_HUB_NAME", split="{first}")'
    yield "```"
    yield "`manifest.json` has the checksum of each shard, `croissant.json` the columns for machines."


def _made(contents: Contents) -> Iterator[str]:
    yield "By this spec, from the samples that its teachers gave:"
    yield ""
    fence = "````"
    text = yaml.safe_dump(dict(contents.spec), sort_keys=False, allow_unicode=True, width=120).rstrip()
    while fence in text:
        fence += "`"
    yield f"{fence}yaml"
    yield text
    yield fence


def _outcomes(contents: Contents) -> Iterator[str]:
    build = contents.build
    rejected = build.get("rejected") or {}
    yield from _table(
        ("outcome", "samples"),
        [
            ("kept", f"{build.get('kept', 0):,}"),
            *((f"rejected: {stage}", f"{number:,}") for stage, number in rejected.items()),
            ("failed: no response", f"{build.get('failed', 0):,}"),
            ("asked for", f"{build.get('requested', 0):,}"),
        ],
    )
    teachers = [(name, each) for name, each in (build.get("by_teacher") or {}).items() if each["requested"]]
    if teachers:
        yield ""
        yield from _table(
            ("teacher", "asked for", "kept", "accepted by the verifiers"),
            [(_code(name), f"{each['requested']:,}", f"{each['kept']:,}", _share(each["pass_rate"])) for name, each in teachers],
        )
    if contents.judged:
        yield ""
        yield from _table(
            ("verifier", "passed", "failed", "undecided", "pass rate"),
            [
                (_code(each.name), f"{each.passed:,}", f"{each.failed:,}", f"{each.undecided:,}", _share(each.rate))
                for each in contents.judged
            ],
        )
    splits = contents.manifest["splits"]
    if len(splits) > 1:
        yield ""
        yield from _table(("split", "rows"), [(name, f"{split['rows']:,}") for name, split in splits.items()])


def _rights(contents: Contents) -> Iterator[str]:
    licensing = contents.licensing
    yield f"The rows as a whole are under `{licensing.license}`; each names its own in `license`. NOTICE goes with them."
    yield ""
    yield from _table(
        ("licence of a trace", "traces"), [(_code(name), f"{number:,}") for name, number in contents.licenses.items()]
    )
    yield ""
    sources = [(_code(each["source"]), _linked(each["license"]), _credit(each)) for each in licensing.sources[:_LISTED]]
    yield from _table(("prompts from", "licence", "credit"), sources)
    if len(licensing.sources) > _LISTED:
        yield ""
        yield f"{counted(len(licensing.sources) - _LISTED, 'more source', 'is', 'are')} in NOTICE."
    wrote = [
        *((each, "teacher") for each in licensing.teachers),
        *((each, "gave the distributions beside the tokens, as teacher") for each in licensing.scorers),
        *((each, "wrote prompts, as teacher") for each in licensing.origins),
    ]
    for each, part in wrote:
        yield ""
        yield f"**{_code(each['model'])}** ({part} {_code(each['name'])}), licence {_linked(each['license'])}:"
        yield ""
        yield from (f"- {line}" for line in _terms(each))
    for each in licensing.text:
        yield ""
        yield f"Other text: {each['what']}, {_linked(each['license'])}."


def _terms(teacher: Mapping[str, Any]) -> Iterator[str]:
    terms = teacher.get("terms")
    if terms:
        address = teacher.get("terms_url")
        dated = f", as of {teacher['terms_as_of']}" if teacher.get("terms_as_of") else ""
        yield f"terms: {f'[{terms}]({address})' if address else terms}{dated}"
    else:
        yield "no provider's terms are known beside the licence"
    if teacher.get("train_use"):
        yield f"training on its output: {teacher['train_use']}"
    yield from duties(teacher)
    yield from acknowledgements(teacher)


def _generations(contents: Contents) -> Iterator[str]:
    yield "A trace is of the later generation of its prompt and its teacher: 0 where people wrote the prompt and the teacher is"
    yield "no student of a model, n where either is synthetic of n-th order. The responses themselves are a model's."
    yield ""
    yield from _table(("generation", "traces"), [(str(each), f"{number:,}") for each, number in contents.generations.items()])
    if mix := [each for each in contents.manifest["mix"] if each["rows"]]:
        yield ""
        yield f"Beside the traces stands what people wrote, in the split `{MIXED}`:"
        yield ""
        rows = [
            (_code(each["source"]), _linked(each["license"]), _credit(each), f"{each['rows']:,}", _share(each["reached"]))
            for each in mix
        ]
        yield from _table(("mixed in", "licence", "credit", "rows", "share"), rows)


def _limits(contents: Contents) -> Iterator[str]:
    judged = [each.name for each in contents.judged]
    if judged:
        yield f"- What is kept passed {', '.join(map(_code, judged))} as the spec requires it, and nothing else was checked."
    else:
        yield "- No verifier is in the spec: nobody checked whether responses are right."
    undecided = sum(each.undecided for each in contents.judged)
    if undecided:
        open_ = counted(undecided, "verdict", "is", "are")
        yield f"- {open_} undecided; an undecided verdict counts neither for a response nor against it."
    for use in ("restricted", "unknown"):
        if contents.train_use.get(use):
            yield f"- Training a model on them is {use} for {counted(contents.train_use[use], 'trace')}, by the terms above."
        for each in contents.licensing.scorers:
            if each["train_use"] == use:
                yield f"- Training a model on the distributions of {_code(each['model'])} is {use}, by the terms above."
        for each in contents.manifest["refuted"]:
            if each["train_use"] == use:
                yield f"- Training a model on the rejected responses of {_code(each['model'])} is {use}, by the terms above."
    yield from (f"- {line}" for line in contents.manifest["caveats"])
    yield "- The responses are a language model's: they may be biased, outdated or wrong in what no verifier looks at."
    yield "- Verified responses favour prompts that the teachers can solve; see the pass rates above."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _share(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"


def _code(text: object) -> str:
    said = str(text).replace("`", "'").replace("|", "\\|").replace("\n", " ")
    return f"`{said}`"


def _credit(source: Mapping[str, Any]) -> str:
    return ", ".join(map(_code, dict.fromkeys(credits_of(source))))


def _linked(expression: str) -> str:
    names = identifiers(expression)
    links = [f"[{name}]({link(name)})" for name in names if "Ref-" not in name]
    return f"`{expression}`" + (f" ({', '.join(links)})" if links else "")
