"""How far a student is from its teachers in size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.distillation.capacity_gap import of_spec, parameters, told


def weights(path: Path, *shapes: tuple[int, ...]) -> None:
    """Write a file in the form of safetensors, without the numbers."""
    header = {f"w{number}": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for number, shape in enumerate(shapes)}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)


def test_parameters(tmp_path: Path):
    """Parameters are counted over all files, by their shapes; a scalar is one."""
    weights(tmp_path / "model-1.safetensors", (10, 20), (7,))
    weights(tmp_path / "model-2.safetensors", (3, 2, 1), ())
    assert parameters(tmp_path) == 214


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0[]", b'\x08\0\0\0\0\0\0\0{"a": 1}'])
def test_no_weights(tmp_path: Path, content: bytes):
    """Of what is no file of weights nothing is known; whoever loads it will say why."""
    assert parameters(tmp_path) is None
    assert parameters(tmp_path / "nowhere") is None
    (tmp_path / "model.safetensors").write_bytes(content)
    assert parameters(tmp_path) is None


@pytest.mark.parametrize(
    ("thousands", "said"),
    [(10, None), (11, "11 times as large as"), (1, None), (0.1, None), (0.05, "20 times smaller than"), (None, None)],
)
def test_told(tmp_path: Path, thousands: float | None, said: str | None):
    """A factor of ten is still well, either way; beyond it a line has both sizes. Of an unknown size nothing is said."""
    weights(tmp_path / "model.safetensors", (10, 100))
    lines = told({"big": None if thousands is None else thousands * 1_000 / 1e9}, tmp_path)
    assert len(lines) == (said is not None)
    assert all("teacher 'big' has" in line and str(said) in line and "1e-06 billion" in line for line in lines)


def test_of_spec():
    """Of a manifest's spec those teachers count that draw."""
    teachers = [{"name": "a", "parameters": 7}, {"name": "b"}, {"name": "judge", "draw": False, "parameters": 70}]
    assert of_spec({"teachers": teachers}) == {"a": 7, "b": None}
    assert of_spec(None) == {}
