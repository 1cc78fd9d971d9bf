"""Checkpoints: all that a run needs to go on as if nothing had happened, in a file that is whole or absent."""
# pyright: reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from storage.errors import StorageError

_STEP = "step-*.pt"
_BEST = "best-*.pt"


def write(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write a step's checkpoint, and remove those before it, with the best weights that it doesn't name (`best_step`)."""
    _put(folder / f"step-{step:08d}.pt", state)
    for path in folder.glob(_STEP):
        if path.name < f"step-{step:08d}.pt":
            path.unlink(missing_ok=True)
    for path in folder.glob(_BEST):
        if path.name != f"best-{state['best_step']:08d}.pt":
            path.unlink(missing_ok=True)


def write_best(folder: Path, step: int, weights: Mapping[str, Any]) -> None:
    """Keep the weights of a step beside the checkpoints."""
    _put(folder / f"best-{step:08d}.pt", weights)


def newest(folder: Path) -> dict[str, Any] | None:
    """Return the newest checkpoint, or None."""
    paths = sorted(folder.glob(_STEP))
    return _get(paths[-1]) if paths else None


def best(folder: Path, step: int) -> dict[str, Any]:
    """Return the weights that were kept of a step."""
    return _get(folder / f"best-{step:08d}.pt")


def random_states() -> dict[str, Any]:
    """Return what torch's generators are at, for dropout."""
    states: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put them back."""
    torch.set_rng_state(states["cpu"].cpu())
    if torch.cuda.is_available() and "cuda" in states:
        torch.cuda.set_rng_state_all([each.cpu() for each in states["cuda"]])


def _put(path: Path, state: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises a RuntimeError where the disk is full
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{path}: can't be written ({error}); make room, and a rerun goes on") from error


def _get(path: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch names no class for a file that isn't one of its own
        raise StorageError(f"{path}: isn't a whole checkpoint ({error}); remove its folder, and a rerun begins anew") from error
