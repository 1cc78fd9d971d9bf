"""The exporters by the name of their form."""

from __future__ import annotations

from collections.abc import Callable

from storage.plugins import Registry
from tasks.exporters.protocol import Exporter

EXPORTERS: Registry[Callable[..., Exporter]] = Registry(
    "stillhouse.exporters",
    {
        "alpaca": "tasks.exporters.alpaca:Alpaca",
        "messages": "tasks.exporters.messages:Messages",
        "preference": "tasks.exporters.preference:Preference",
        "prompt_completion": "tasks.exporters.prompt_completion:PromptCompletion",
        "sharegpt": "tasks.exporters.sharegpt:ShareGPT",
        "soft": "tasks.exporters.soft:Soft",
        "tokenized": "tasks.exporters.tokenized:Tokenized",
        "webdataset": "tasks.exporters.webdataset:WebDataset",
    },
)
