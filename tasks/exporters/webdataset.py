"""The rows of `messages` in tar files, one JSON file a sample, as the package `webdataset` streams them."""

from __future__ import annotations

from tasks.exporters.messages import Messages
from tasks.exporters.protocol import exporter


@exporter(files=("tar",))
class WebDataset(Messages):
    """The whole conversation, a file of its own in a tar."""
