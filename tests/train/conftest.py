"""Trainers need torch, which `make setup` doesn't install: without it there is nothing to collect here."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") and find_spec("trl") else ["test_*.py"]
