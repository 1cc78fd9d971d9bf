"""The dataset, its exports and their shards as Prefect assets, with where they came from: sources → dataset → export → shards.

A key is a URI that stays the same from build to build: `stillhouse://PATH/DATASET` is a dataset of the lake at PATH, so that one
which is another's source is one and the same asset; a file is a `file://PATH`, and what is behind a URL is that URL.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from prefect.assets import Asset, AssetProperties, materialize
from prefect.cache_policies import NO_CACHE

from storage.lake import Lake
from tasks.destinations.choose import destination_at
from tasks.sources import PromptSource

MADE_BY = "stillhouse"
LONGEST = 512
"""Characters in a key."""
SOURCES = 50
"""Of a dataset's; an event of Prefect's has room for a hundred related things."""
SHARDS = 100
"""Of an export, each an asset of its own; where there are more, the export stands for them."""


def key(uri: str) -> str:
    """Return a URI as a key may be: Prefect refuses blanks and a few other characters, and long ones."""
    scheme, _, rest = uri.partition("://")
    plain = re.sub(r"""[\s\0#?&%"'<>\[\]{}|\\^`]""", lambda found: f"~{ord(found[0]):02x}", rest)
    whole = f"{re.sub('[^a-z0-9]', '', scheme.lower()) or 'file'}://{plain.rstrip('/')}"
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 17]}~{sha256(whole.encode()).hexdigest()[:16]}"


def dataset_key(lake: Path | str, dataset: str) -> str:
    """Return the key of a lake's dataset."""
    root = str(lake)
    place = root.partition("://")[2] if "://" in root else Path(root).expanduser().absolute()
    return key(f"stillhouse://{place}/{dataset}")


def source_key(source: PromptSource) -> str:
    """Return the key of what a prompt source is read from."""
    if source.of_lake:
        return dataset_key(*source.lake)
    address = source.source.partition("?")[0]  # a query may have a key in it
    return key(address) if "://" in address else _local(address)


def _local(path: str) -> str:
    return key(f"file://{Path(path).expanduser().absolute()}")


def _destination_key(to: str) -> str:
    shown = destination_at(to).shown
    return key(shown) if "://" in shown else _local(shown)


def dataset_asset(lake: Lake, dataset: str, *, url: str | None) -> Asset:
    """Return a dataset's asset; `url` is where its newest report is."""
    about = AssetProperties(name=dataset, description=f"Traces of the dataset {dataset} in the lake {lake.where}", url=url)
    return Asset(key=dataset_key(lake.where, dataset), properties=about)


async def landing(
    lake: Lake,
    dataset: str,
    sources: Sequence[PromptSource],
    land: Callable[[], Awaitable[dict[str, Any]]],
    *,
    url: str | None,
) -> dict[str, Any]:
    """Land a build in a task that makes the dataset's asset of its sources', and return the manifest."""
    asset = dataset_asset(lake, dataset, url=url)
    upstream = list(dict.fromkeys(source_key(each) for each in sources))

    @materialize(
        asset,
        by=MADE_BY,
        asset_deps=[*upstream[:SOURCES]],
        name="land",
        task_run_name=f"{dataset}-land",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def work() -> dict[str, Any]:
        manifest = await land()
        asset.add_metadata(_facts(manifest))
        return manifest

    return await work()


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    names = ("build_id", "prompts", "requested", "kept", "rejected", "failed", "paid", "cost_usd", "spec_hash", "version")
    return {name: manifest[name] for name in names}


async def exporting(
    lake: Lake,
    dataset: str,
    targets: Sequence[str],
    export: Callable[[], Awaitable[list[dict[str, Any]]]],
) -> list[dict[str, Any]]:
    """Write exports in a task that makes their assets, and those of their shards, of the dataset's; return the manifests."""
    if not targets:
        return await export()
    assets = [Asset(key=_destination_key(to)) for to in targets]

    @materialize(
        *assets,
        by=MADE_BY,
        asset_deps=[dataset_key(lake.where, dataset)],
        name="export",
        task_run_name=f"{dataset}-export",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def work() -> list[dict[str, Any]]:
        manifests = await export()
        for asset, manifest in zip(assets, manifests, strict=True):
            names = ("build_id", "format", "rows")
            shards = len(manifest["shards"])
            asset.add_metadata({name: manifest[name] for name in names} | {"dataset": dataset, "shards": shards})
        return manifests

    manifests = await work()
    for asset, manifest in zip(assets, manifests, strict=True):
        await _shards(dataset, asset, manifest)
    return manifests


async def _shards(dataset: str, export: Asset, manifest: Mapping[str, Any]) -> None:
    """Make the assets of an export's shards: which there are is known once they are written."""
    shards = {key(f"{export.key}/{each['file']}"): each for each in manifest["shards"]}
    if not 0 < len(shards) <= SHARDS:
        return
    assets = [Asset(key=name) for name in shards]

    @materialize(
        *assets,
        by=MADE_BY,
        asset_deps=[export],
        name="shards",
        task_run_name=f"{dataset}-shards",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def work() -> None:
        for asset, each in zip(assets, shards.values(), strict=True):
            asset.add_metadata({name: each[name] for name in ("rows", "bytes", "split") if name in each})

    await work()
