"""Croissant 1.1: an export described for machines, as JSON-LD (MLCommons, mlcommons.org/croissant/1.1)."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa

from storage.wording import counted
from tasks.exports.contents import Contents
from tasks.exports.notice import link
from tasks.license import identifiers

_ENCODINGS = {
    "parquet": "application/x-parquet",
    "jsonl": "application/jsonlines",
    "arrow": "application/vnd.apache.arrow.stream",
    "tar": "application/x-tar",
}
_READ = frozenset({"parquet", "jsonl"})
"""Files whose columns Croissant has words for."""
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "unArchive": "cr:unArchive",
    "value": "cr:value",
}


def croissant(contents: Contents) -> str:
    """Return the text of croissant.json."""
    manifest = contents.manifest
    file = manifest["file"]
    models = sorted({each["model"] for each in contents.licensing.teachers})
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": contents.dataset,
        "description": f"{'Verified responses' if contents.judged else 'Responses'} of {', '.join(models)} "
        f"to prompts, in the form `{manifest['format']}`.",
        # A build has no place in an order of versions, so it stands where semantic versions have their build.
        "version": f"1.0.0+{contents.build['build_id']}",
        "citeAs": f"@misc{{{re.sub(r'[^a-zA-Z0-9]', '', contents.dataset)}, title = {{{contents.dataset}}}, "
        f"note = {{stillhouse build {contents.build['build_id']}}}}}",
        "datePublished": str(contents.build.get("created_at", ""))[:10],
        "license": [link(name) if "Ref-" not in name else name for name in identifiers(contents.licensing.license)],
        "keywords": ["synthetic", "distillation"],
        "creator": {"@type": "sc:Organization", "name": f"stillhouse {contents.build.get('version', '')}".strip()},
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": shard["file"],
                "name": shard["file"],
                "contentUrl": shard["file"],
                "contentSize": f"{shard['bytes']} B",
                "encodingFormat": _ENCODINGS[file],
                "sha256": shard["sha256"],
            }
            for shard in manifest["shards"]
        ],
    }
    splits = list(manifest["splits"])
    described["distribution"] += [
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-files",
            "name": f"{split}-files",
            "description": f"All shards of {split}.",
            "encodingFormat": _ENCODINGS[file],
            "includes": f"{split}-*.{file}",
        }
        for split in splits
    ]
    if file in _READ:
        described["recordSet"] = [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "description": f"{counted(manifest['splits'][split]['rows'], 'row')}.",
                "field": [_field(field, split, f"{split}-files") for field in contents.schema],
            }
            for split in splits
        ]
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _field(field: pa.Field, above: str, files: str) -> dict[str, Any]:
    kind, depth = field.type, 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind, depth = kind.value_type, depth + 1
    name = f"{above}/{field.name}"
    source = {"fileSet": {"@id": files}, "extract": {"column": field.name}}
    described: dict[str, Any] = {"@type": "cr:Field", "@id": name, "name": name}
    if depth:
        described |= {"isArray": True, "arrayShape": ",".join(["-1"] * depth)}
    if not pa.types.is_struct(kind):
        return described | {"dataType": _kind(kind), "source": source}
    described["subField"] = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{part.name}",
            "name": f"{name}/{part.name}",
            "dataType": _kind(part.type),
            "source": source | {"transform": {"jsonPath": part.name}},
        }
        for part in kind
    ]
    return described


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
