"""The student: any causal language model that transformers loads, with its tokenizer."""
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from storage.errors import SetupError, SpecError
from tasks.teachers.weights import digest

_LOOKED = 16
"""Tokens on which is tried whether a model's head alone makes its logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A model and what is saved with it."""

    model: Any
    tokenizer: Any = None
    """None where it came without."""
    name: str = ""
    """The folder or id that it was loaded from."""
    weights: str | None = None
    """What tells it from another one of that name: the digest of the folder's files, or the Hub's commit. None where unknown."""

    @property
    def vocabulary(self) -> int:
        """Return how many logits it gives."""
        return int(self.model.get_input_embeddings().num_embeddings)

    @property
    def positions(self) -> int | None:
        """Return how many tokens it can read at once, where it says so."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def parameters(self) -> int:
        """Return how many it has."""
        return sum(each.numel() for each in self.model.parameters())

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write it as `from_pretrained` reads it, with other weights than it has now where they are given.

        Files are made beside and moved, `config.json` last, so that no half of a model can be loaded.
        """
        made = folder / ".saving"
        shutil.rmtree(made, ignore_errors=True)
        try:
            if weights is not None:
                self.model.load_state_dict(weights)
            self.model.save_pretrained(made)
            if self.tokenizer is not None:
                self.tokenizer.save_pretrained(made)
            for path in sorted(made.iterdir(), key=lambda path: (path.name == "config.json", path.name)):
                path.replace(folder / path.name)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def load(name: str) -> Student:
    """Load a student in float32: its weights are learnt in full precision, whatever they are multiplied in. Raise SetupError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    check_name(name)
    try:
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        told = " ".join(str(error).split())
        raise SetupError(f"--student {name}: can't be loaded as a causal language model: {told[:300]}") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError, ImportError):
        tokenizer = None
    folder = Path(name).expanduser()
    weights = digest(folder) if folder.is_dir() else getattr(model.config, "_commit_hash", None)
    return Student(model=model, tokenizer=tokenizer, name=name, weights=weights)


def check_name(name: str) -> None:
    """Raise SpecError where a name looks like a folder and isn't a model's: transformers would ask the Hub for it."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise SpecError(f"--student {name}: has no config.json; name a model's folder, or an id of the Hub")
        try:
            json.loads((path / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise SpecError(f"--student {name}: config.json is no JSON ({error})") from error
    elif name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise SpecError(f"--student {name}: no such folder; name a model's folder, or an id of the Hub such as NAME/MODEL")


def split(model: Any) -> Callable[[Tensor], Tensor] | None:
    """Return a model's head where that alone makes logits of its decoder's states, and None where there is more to it.

    Then logits can be made for some positions at a time, and never for what isn't learnt. Some models scale or cap logits behind
    their head, so it is tried and not assumed.
    """
    training = model.training
    model.eval()
    try:
        head, decoder = model.get_output_embeddings(), model.get_decoder()
        if head is None or decoder is None or decoder is model:
            return None
        size = model.get_input_embeddings().num_embeddings
        tokens = (torch.arange(_LOOKED, device=model.device) * 7919 % size)[None]
        with torch.no_grad():
            whole = model(input_ids=tokens, use_cache=False).logits
            mine = head(decoder(input_ids=tokens, use_cache=False).last_hidden_state)
        return head if torch.allclose(whole, mine, rtol=1e-4, atol=1e-5 * float(whole.abs().max())) else None
    except (AttributeError, TypeError, NotImplementedError):
        return None
    finally:
        model.train(training)
