"""A dataset's artifacts in Prefect: made once a run, changed in place, and sent only where they have changed."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any
from uuid import UUID

from prefect.artifacts import Artifact, LinkArtifact, MarkdownArtifact, ProgressArtifact, TableArtifact
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.exceptions import PrefectHTTPStatusError


def artifact_key(*parts: str) -> str:
    """Return names as Prefect's artifact keys want them: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-") or "dataset"


class Board:
    """Made within a flow run, whose the artifacts are. Each method costs one request, or none where nothing has changed."""

    def __init__(self, client: PrefectClient, dataset: str) -> None:
        """Show nothing yet."""
        self._client = client
        self._dataset = dataset
        self._ids: dict[str, UUID] = {}
        self._putting = asyncio.Lock()
        self._shown: dict[str, tuple[Any, str | None]] = {}

    async def progress(self, name: str, share: float, text: str) -> None:
        """Show which part of something is done, 0 to 1."""
        await self._put(name, ProgressArtifact(progress=round(100.0 * share, 2), description=text))

    async def table(self, name: str, rows: list[dict[str, Any]], text: str) -> None:
        """Show a table; an empty one isn't made."""
        if rows or name in self._ids:
            await self._put(name, TableArtifact(table=rows, description=text))

    async def link(self, name: str, url: str, text: str) -> None:
        """Show a link."""
        await self._put(name, LinkArtifact(link=url, link_text=text, description=text))

    async def markdown(self, name: str, document: str, text: str) -> None:
        """Show a document."""
        await self._put(name, MarkdownArtifact(markdown=document, description=text))

    async def _put(self, name: str, artifact: Artifact) -> None:
        async with self._putting:  # two that find none there would make two
            await self._put_alone(name, artifact)

    async def _put_alone(self, name: str, artifact: Artifact) -> None:
        wanted = (await artifact.aformat(), artifact.description)
        if self._shown.get(name) == wanted:
            return
        known = self._ids.get(name)
        if known is not None and await self._changed(known, *wanted):
            self._shown[name] = wanted
            return
        made = await artifact.model_copy(update={"key": artifact_key(self._dataset, name)}).acreate(self._client)
        self._ids[name], self._shown[name] = made.id, wanted

    async def _changed(self, known: UUID, data: Any, text: str | None) -> bool:
        """Change an artifact, and return whether it is still there: the server may have another database by now."""
        try:
            await self._client.update_artifact(known, ArtifactUpdate(data=data, description=text))
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True
