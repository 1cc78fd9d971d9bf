"""The training of a student, which goes on where it was ended, to the same weights.

A loop of our own, since a step must be the mean over the tokens of all its batches, batches are made by tokens, and a run that
was killed must come to the weights of one that was not. Hugging Face's Trainer batches by rows, finds its place in a stream by
reading all that came before, and needs accelerate.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from storage.disk import write_text
from storage.errors import Interrupted, SourceError, SpecError
from tasks.distillation import checkpoints
from tasks.distillation.batches import Batch, Batches
from tasks.distillation.loss import Losses, Soft, summed
from tasks.distillation.recipe import Recipe
from tasks.distillation.shards import Index, files, index
from tasks.distillation.student import Student, split

DONE = "distill.json"
"""What a trained student's folder has beside the model, written last: how it was trained, and what came of it."""
LOG = "log.jsonl"
_CHECKPOINTS = "checkpoints"
_EVALUATIONS = 4
"""In an epoch, where nothing else is said."""
Tell = Callable[[dict[str, Any]], None]


class Training:
    """One training of one student. Reading the shards' lengths is all that making it does."""

    def __init__(self, student: Student, source: Path, to: Path, recipe: Recipe, *, device: str = "auto") -> None:
        """Look at everything. Raise SpecError or SourceError where it can't be trained so."""
        recipe.check()
        self.student, self.recipe, self._to = student, recipe, to
        self.device = _device(device)
        self._bf16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        check_place(to, student.name)
        self._train = _indexed(source, "train", student)
        held_out = _indexed(source, "validation", student)
        self._batches = Batches(index=self._train, tokens=recipe.tokens_per_batch, seed=recipe.seed)
        self._held_out = Batches(index=held_out, tokens=recipe.tokens_per_batch, seed=None) if held_out.usable else None
        self._ends = self._epochs()
        self.steps = self._ends[-1]
        """Of the whole."""
        self._every = recipe.evaluate_every or max(1, self._ends[0] // _EVALUATIONS)
        self._identity = {
            "recipe": recipe.as_dict(),
            "student": student.name,
            "weights": student.weights,
            "shards": self._train.digest(),
            "held_out": held_out.digest() if held_out.usable else None,
        }
        self.facts = {
            "conversations": self._train.usable,
            "without_labels": len(self._train.lengths) - self._train.usable,
            "trained_tokens": int(self._train.trained.sum()),
            "soft": self._train.soft and recipe.alpha < 1,
            "held_out": held_out.usable,
            "parameters": student.parameters,
            "device": str(self.device),
            "bf16": self._bf16,
        }
        """What is trained on and on what."""

    def run(self, tell: Tell = lambda _: None, stopped: Callable[[], object] = lambda: False) -> dict[str, Any]:
        """Train, and return what came of it, as in `distill.json`. A training that is done already is not done again.

        `tell` gets each row of the log. Once `stopped` says so, a checkpoint is written and Interrupted raised.
        """
        if (done := self._done()) is not None:
            return done
        self._to.mkdir(parents=True, exist_ok=True)
        self._begin()
        with (self._to / LOG).open("a", encoding="utf-8") as log:

            def note(row: dict[str, Any]) -> None:
                log.write(json.dumps(row) + "\n")
                log.flush()
                tell(row)

            if self.step == 0 and not self.history:
                self._look(note)
            self._clock = time.monotonic()
            for group in _ahead(self._groups(self.step)):
                if self.ended:
                    break
                note(self._step(group))
                began = time.monotonic()
                if self.step % self._every == 0 or self.step == self.steps:
                    self._look(note)
                stop = bool(stopped())
                if stop or self.step % self.recipe.checkpoint_every == 0 or self.step == self.steps:
                    os.fsync(log.fileno())
                    self._keep()
                self._clock += time.monotonic() - began
                if stop and self.step < self.steps and not self.ended:
                    raise Interrupted(f"interrupted after step {self.step:,} of {self.steps:,}; a rerun goes on from there")
        return self._finish()

    def _epochs(self) -> list[int]:
        """Return the step with which each epoch ends: of as many epochs as were asked for, or as the steps that were take."""
        recipe, ends = self.recipe, [0]
        while len(ends) <= recipe.epochs if not recipe.steps else ends[-1] < recipe.steps:
            ends.append(ends[-1] + math.ceil(self._batches.count(len(ends) - 1) / recipe.accumulate))
        return [*ends[1:-1], min(ends[-1], recipe.steps or ends[-1])]

    def _begin(self) -> None:
        """Set up, or put back, all that a step depends on."""
        recipe, model = self.recipe, self.student.model
        torch.manual_seed(recipe.seed)
        model.to(self.device).train()
        if recipe.gradient_checkpointing:
            # Its new name since transformers 5.20, and the one that it had.
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self._head = split(model)
        matrices = [each for each in model.parameters() if each.requires_grad and each.ndim > 1]
        others = [each for each in model.parameters() if each.requires_grad and each.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=recipe.lr, fused=self.device.type == "cuda")
        self.step = self.tokens = self.best_step = self._since = 0
        self.seconds, self.best = 0.0, math.inf
        self.ended = False
        self.history: list[dict[str, Any]] = []
        state = checkpoints.newest(self._to / _CHECKPOINTS)
        if state is not None:
            _same(json.loads(state["identity"]), self._identity, self._to)
            model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
            self.best, self.best_step, self._since = state["best"], state["best_step"], state["since"]
            self.ended, self.history = state["ended"], json.loads(state["history"])
            checkpoints.set_random_states(state["random"])
        _cut(self._to / LOG, self.step if state is not None else -1)
        self.resumed_at = self.step

    def _keep(self) -> None:
        state = {
            "identity": json.dumps(self._identity),
            "model": self.student.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": checkpoints.random_states(),
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "best": self.best,
            "best_step": self.best_step,
            "since": self._since,
            "ended": self.ended,
            "history": json.dumps(self.history),
        }
        checkpoints.write(self._to / _CHECKPOINTS, self.step, state)

    def _groups(self, taken: int) -> Iterator[list[Batch]]:
        """Yield the batches of each step behind the first so many."""
        for epoch, end in enumerate(self._ends):
            if taken >= end:
                continue
            begin = self._ends[epoch - 1] if epoch else 0
            batches = self._batches.epoch(epoch, skip=max(taken - begin, 0) * self.recipe.accumulate)
            for _ in range(max(taken, begin), end):
                yield list(itertools.islice(batches, self.recipe.accumulate))

    def _step(self, group: list[Batch]) -> dict[str, Any]:
        """Take one step, and return its row of the log."""
        learnt = sum(len(batch.targets) for batch in group)
        sums = torch.zeros(4, device=self.device)
        for batch in group:
            losses = self.losses(batch)
            (losses.total / learnt).backward()
            sums += torch.stack([losses.total.detach(), losses.hard, losses.soft, losses.softened])
        parameters = [each for each in self.student.model.parameters() if each.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip or math.inf))
        if not math.isfinite(norm):
            raise SpecError(f"--lr: step {self.step + 1:,} has a gradient that is no number; begin anew with a smaller one")
        rate = self.recipe.rate(self.step, self.steps)
        for each in self._optimizer.param_groups:
            each["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += learnt
        # Since the step before, so that waiting for what is read counts; looks at the held-out loss and checkpoints don't.
        now = time.monotonic()
        took, self._clock = now - self._clock, now
        self.seconds += took
        epoch = sum(self.step > end for end in self._ends)
        read = sum(int(batch.tokens.size) for batch in group)
        return {
            "step": self.step,
            "of": self.steps,
            "epoch": epoch + 1,
            **_means(sums, learnt),
            "lr": rate,
            "norm": norm,
            "trained_tokens": self.tokens,
            "tokens_per_s": round(read / took, 1),
        }

    def losses(self, batch: Batch) -> Losses:
        """Return a batch's sums, with gradients."""
        tokens, places, targets = (self._there(each) for each in (batch.tokens, batch.places, batch.targets))
        soft = None
        if batch.ids is not None and batch.logprobs is not None and self.recipe.alpha < 1:
            soft = Soft(ids=self._there(batch.ids), logprobs=self._there(batch.logprobs))
        # Without a mask: what fills a row up stands behind its tokens, where a causal model doesn't look.
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            if self._head is not None:
                states = self.student.model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state
            else:
                states = self.student.model(input_ids=tokens, use_cache=False).logits
            states = states.flatten(0, 1).index_select(0, places)
            project = self._head or _as_it_is
            return summed(states, project, targets, soft, alpha=self.recipe.alpha, temperature=self.recipe.temperature)

    def _there(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _held_out_loss(self, held_out: Batches) -> dict[str, float]:
        """Return the means over what is held out."""
        self.student.model.eval()
        sums, learnt = torch.zeros(4, dtype=torch.float64, device=self.device), 0
        with torch.no_grad():
            for batch in held_out.epoch(0):
                losses = self.losses(batch)
                sums += torch.stack([losses.total, losses.hard, losses.soft, losses.softened]).double()
                learnt += len(batch.targets)
        self.student.model.train()
        return _means(sums, learnt)

    def _look(self, note: Tell) -> None:
        """Look at the held-out loss, keep the weights where it is the best so far, and end where it has turned."""
        if self._held_out is None:
            return
        found = self._held_out_loss(self._held_out)
        row = {"step": self.step, "held_out": found}
        self.history.append(row)
        note(row)
        if self.step == 0:
            return  # what the student knows untrained, to compare with
        if found["loss"] < self.best:
            self.best, self.best_step, self._since = found["loss"], self.step, 0
            checkpoints.write_best(self._to / _CHECKPOINTS, self.step, self.student.model.state_dict())
            return
        self._since += 1
        self.ended = 0 < self.recipe.patience <= self._since

    def _finish(self) -> dict[str, Any]:
        folder = self._to / _CHECKPOINTS
        weights = checkpoints.best(folder, self.best_step) if self.best_step else None
        self.student.save(self._to, weights)
        found = {
            "to": str(self._to),
            "steps": self.step,
            "of": self.steps,
            "ended_early": self.ended,
            "best_step": self.best_step or self.step,
            "held_out_before": self.history[0]["held_out"] if self.history else None,
            "held_out": next((row["held_out"] for row in self.history if row["step"] == self.best_step), None),
            "trained_tokens_seen": self.tokens,
            "resumed_at": self.resumed_at,
            "elapsed_s": round(self.seconds, 3),
            **{name: value for name, value in self.facts.items() if name != "held_out"},
            "held_out_conversations": self.facts["held_out"],
            "identity": self._identity,
        }
        _write(self._to / DONE, found)
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def _done(self) -> dict[str, Any] | None:
        """Return what came of this very training, where it is done."""
        path = self._to / DONE
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            identity = found["identity"]
        except (ValueError, KeyError, TypeError) as error:
            raise SpecError(f"--to {self._to}: {DONE} is not what was written; name another folder") from error
        _same(identity, self._identity, self._to)
        return found


def _ahead(groups: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
    """Yield the same, while a thread makes the next."""
    with ThreadPoolExecutor(1, "batches") as pool:
        coming = pool.submit(next, groups, None)
        while (group := coming.result()) is not None:
            coming = pool.submit(next, groups, None)
            yield group


def _as_it_is(states: Tensor) -> Tensor:
    return states


def _means(sums: Tensor, learnt: int) -> dict[str, float]:
    """Return means by token: of the loss, of hard labels, and of distributions over the tokens that have them."""
    total, hard, soft, softened = sums.tolist()
    found = {"loss": total / learnt, "hard": hard / learnt}
    return found | ({"soft": soft / softened, "softened": softened / learnt} if softened else {})


def _device(name: str) -> Any:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SpecError(f"--device: {name!r} is none; auto, cpu or cuda") from error
    if device.type not in {"cpu", "cuda"} or (device.type == "cuda" and not torch.cuda.is_available()):
        raise SpecError(f"--device: {name}: torch has no such device here; auto, cpu or cuda")
    return device


def _indexed(source: Path, split_name: str, student: Student) -> Index:
    found = index(files(source, split_name))
    if split_name == "train" and not found.usable:
        raise SourceError(f"{source}: no row for training has labels to learn from; export with `format: tokenized`")
    if found.largest >= student.vocabulary:
        told = f"token id {found.largest:,}, and the student has {student.vocabulary:,}"
        raise SourceError(f"{source}: {told}; export with the student's own tokenizer")
    longest = int(found.lengths.max()) if len(found.lengths) else 0
    if student.positions is not None and longest > student.positions:
        told = f"a conversation of {longest:,} tokens, and the student reads {student.positions:,}"
        raise SourceError(f"{source}: {told}; export with `max_length: {student.positions}`")
    return found


def check_place(to: Path, student: str) -> None:
    """Raise SpecError where a folder isn't ours to write to."""
    if not to.exists():
        return
    if not to.is_dir():
        raise SpecError(f"--to {to}: is a file; name a folder")
    if to.resolve() == Path(student).expanduser().resolve():
        raise SpecError(f"--to {to}: is the student's own folder; name another, so that it can be trained again")
    ours = any((to / name).exists() for name in (DONE, LOG, _CHECKPOINTS))
    if not ours and any(to.iterdir()):
        raise SpecError(f"--to {to}: has files that are no student of stillhouse; name another folder")


def _same(before: dict[str, Any], now: dict[str, Any], to: Path) -> None:
    """Raise SpecError where a folder is of another training, and say what differs."""
    flat = [each | each["recipe"] for each in (before, now)]
    names = [name for name in flat[1] if name != "recipe" and flat[0].get(name) != flat[1][name]]
    if names:
        differing = ", ".join(
            f"{name} (there {flat[0].get(name)}, now {flat[1][name]})" if name not in {"weights", "shards", "held_out"} else name
            for name in names
        )
        raise SpecError(f"--to {to}: is of a training that differs in {differing}; name another folder, or remove it")


def _cut(path: Path, step: int) -> None:
    """Take out of a log what came after a step: it will come again. Lines that were torn go too."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError, KeyError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    write_text(path, "".join(kept))


def _write(path: Path, found: dict[str, Any]) -> None:
    write_text(path, json.dumps(found, indent=2) + "\n")
