"""How a student is trained: what may be chosen, with the defaults of the field."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from pydantic import ConfigDict

from storage.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The choices of one training, which are the command's options, and the form of a deployed run."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    epochs: int = 3
    """How often everything is read at most; the held-out loss may end it before."""
    steps: int = 0
    """Steps in all, however often that reads everything; 0: as many as the epochs have."""
    lr: float = 1e-5
    """The highest learning rate of AdamW."""
    warmup: float = 0.1
    """The part of all steps in which it rises to that; then it falls to 0 along a cosine."""
    alpha: float = 0.5
    """The weight of the hard labels, where a place has a distribution too; 1 leaves distributions out."""
    temperature: float = 1.0
    """By which both distributions are softened."""
    tokens_per_batch: int = 8192
    """Of a forward pass at most, filled up; a conversation of more is a batch of its own."""
    accumulate: int = 4
    """Batches whose gradients make one step."""
    weight_decay: float = 0.0
    """AdamW's, on matrices alone."""
    clip: float = 1.0
    """The largest norm of a step's gradient; 0 leaves it as it is."""
    seed: int = 0
    """Of the order, and of dropout where the student has it."""
    evaluate_every: int = 0
    """Steps between two looks at the held-out loss; 0: a fourth of an epoch."""
    patience: int = 2
    """Looks without a better held-out loss that end the training; 0: none do."""
    checkpoint_every: int = 100
    """Steps between two checkpoints."""
    gradient_checkpointing: bool = False
    """Whether activations are made twice, and not held: a third more time, a fraction of the memory."""

    def check(self) -> None:
        """Raise SpecError where a value can't be."""
        wrong = {
            "epochs": self.epochs < 1 and "at least 1",
            "steps": self.steps < 0 and "0 or more",
            "lr": not 0 < self.lr < math.inf and "above 0",
            "warmup": not 0 <= self.warmup <= 1 and "from 0 to 1",
            "alpha": not 0 <= self.alpha <= 1 and "from 0 to 1",
            "temperature": not 0 < self.temperature < math.inf and "above 0",
            "tokens_per_batch": self.tokens_per_batch < 1 and "at least 1",
            "accumulate": self.accumulate < 1 and "at least 1",
            "weight_decay": not 0 <= self.weight_decay < math.inf and "0 or more",
            "clip": not 0 <= self.clip < math.inf and "0 or more",
            "seed": self.seed < 0 and "0 or more",
            "evaluate_every": self.evaluate_every < 0 and "0 or more",
            "patience": self.patience < 0 and "0 or more",
            "checkpoint_every": self.checkpoint_every < 1 and "at least 1",
        }
        for name, why in wrong.items():
            if why:
                raise SpecError(f"--{name.replace('_', '-')}: {getattr(self, name)}: must be {why}")

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        rising = math.ceil(self.warmup * steps)
        if step < rising:
            return self.lr * (step + 1) / rising
        return self.lr * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1))) / 2

    def as_dict(self) -> dict[str, Any]:
        """Return every choice by its name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}
