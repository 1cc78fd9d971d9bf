"""The student's loss: against a reference in float64, by finite differences, in its limits, and by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tasks.distillation.loss import Soft, pointwise, summed

pytestmark = pytest.mark.train
INF = float("inf")


def reference(logits: Tensor, targets: Tensor, soft: Soft, alpha: float, temperature: float) -> list[float]:
    """Work the loss out token by token, as it is written in books: outcomes first, then the temperature."""
    found = []
    for z, target, ids, logprobs in zip(logits.double(), targets, soft.ids, soft.logprobs.double(), strict=True):
        q = z.exp() / z.exp().sum()
        hard = -math.log(q[target])
        teacher = {int(i): math.exp(lp) for i, lp in zip(ids, logprobs, strict=True) if lp > -INF}
        if not teacher:
            found.append(hard)
            continue
        pairs = [(p, float(q[i])) for i, p in teacher.items()]
        if len(teacher) < len(z):
            pairs.append((1 - sum(teacher.values()), sum(float(q[i]) for i in range(len(z)) if i not in teacher)))
        ps, qs = ([value ** (1 / temperature) for value in side] for side in zip(*pairs, strict=True))
        ps, qs = ([value / sum(side) for value in side] for side in (ps, qs))
        kl = sum(p * math.log(p / q) for p, q in zip(ps, qs, strict=True) if p)
        found.append(alpha * hard + (1 - alpha) * temperature**2 * kl)
    return found


def case(n: int = 6, vocabulary: int = 11, top: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Soft]:
    """Make logits, targets, and a teacher of whom some positions know fewer tokens, and the last none."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, vocabulary, generator=generator, dtype=torch.float64)
    targets = torch.randint(vocabulary, (n,), generator=generator)
    logprobs, ids = (2 * torch.randn(n, vocabulary, generator=generator, dtype=torch.float64)).log_softmax(-1).topk(top)
    if top < vocabulary:
        logprobs[1, 2:] = -INF
        logprobs[-1] = -INF
        ids[-1] = 0
    return logits, targets, Soft(ids=ids, logprobs=logprobs)


def value(logits: Tensor, targets: Tensor, soft: Soft | None, alpha: float, temperature: float) -> Tensor:
    """Return the loss of each position."""
    return pointwise(logits, targets, soft, alpha=alpha, temperature=temperature)[0]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.0])
def test_it_is_the_reference(alpha: float, temperature: float):
    """In float64 to 1e-12, and in float32 and bfloat16 as near as their logits are."""
    logits, targets, soft = case()
    expected = torch.tensor(reference(logits, targets, soft, alpha, temperature), dtype=torch.float64)
    torch.testing.assert_close(value(logits, targets, soft, alpha, temperature), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(value(logits.float(), targets, soft, alpha, temperature).double(), expected, rtol=2e-5, atol=2e-5)
    rough = logits.bfloat16()
    expected = torch.tensor(reference(rough, targets, soft, alpha, temperature), dtype=torch.float64)
    torch.testing.assert_close(value(rough, targets, soft, alpha, temperature).double(), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("alpha", "temperature"), [(0.0, 3.0), (0.3, 0.5), (0.3, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("top", [1, 3, 6])
def test_its_gradient_is_that_of_finite_differences(alpha: float, temperature: float, top: int):
    """For one alternative, some, and the whole vocabulary."""
    logits, targets, soft = case(n=4, vocabulary=6, top=top)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: value(z, targets, soft, alpha, temperature), (logits,))


def test_by_hand():
    """Two tokens of four known: p = (1/2, 1/4, rest 1/4); a uniform student has q = (1/4, 1/4, rest 1/2)."""
    soft = Soft(ids=torch.tensor([[2, 0]]), logprobs=torch.tensor([[0.5, 0.25]], dtype=torch.float64).log())
    loss, hard, kl, has = pointwise(torch.zeros(1, 4, dtype=torch.float64), torch.tensor([2]), soft, alpha=0.25, temperature=1.0)
    assert hard.item() == pytest.approx(math.log(4))
    # 1/2·ln 2 + 1/4·ln 1 + 1/4·ln 1/2 = 1/4·ln 2
    assert kl.item() == pytest.approx(math.log(2) / 4)
    assert loss.item() == pytest.approx(math.log(4) / 4 + 3 / 4 * math.log(2) / 4)
    assert has.item()


def test_by_hand_at_a_temperature():
    """At T = 2 probabilities become their square roots, made to add up to 1: outcomes first, then the temperature."""
    soft = Soft(ids=torch.tensor([[0]]), logprobs=torch.tensor([[0.64]], dtype=torch.float64).log())
    # q(0) = 0.5: the logits are ln 2 and two of 0. Roots of (0.64, 0.36) are (0.8, 0.6), of (0.5, 0.5) alike.
    logits = torch.tensor([[math.log(2), 0.0, 0.0]], dtype=torch.float64)
    found = value(logits, torch.tensor([0]), soft, 0.0, 2.0).item()
    p = (0.8 / 1.4, 0.6 / 1.4)
    assert found == pytest.approx(4 * (p[0] * math.log(2 * p[0]) + p[1] * math.log(2 * p[1])))


def test_alpha_1_is_cross_entropy():
    """And alpha 0 has none of it."""
    logits, targets, soft = case()
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(value(logits, targets, soft, 1.0, 3.0), expected)
    other = (targets + 1) % logits.shape[1]
    torch.testing.assert_close(value(logits, targets, soft, 0.0, 3.0)[:-1], value(logits, other, soft, 0.0, 3.0)[:-1])


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_a_teacher_who_is_sure_gives_cross_entropy(alpha: float):
    """One-hot at its target, at T = 1."""
    logits, targets, _ = case()
    soft = Soft(ids=targets[:, None], logprobs=torch.zeros(len(targets), 1, dtype=torch.float64))
    torch.testing.assert_close(value(logits, targets, soft, alpha, 1.0), value(logits, targets, None, 1.0, 1.0))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_whole_vocabulary_is_exact(temperature: float):
    """As many alternatives as tokens: T² · KL of the tempered softmaxes, as torch works it out."""
    logits, targets, soft = case(top=11)
    teacher = torch.zeros_like(logits).scatter(1, soft.ids, soft.logprobs)
    expected = torch.nn.functional.kl_div(
        (logits / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1), log_target=True, reduction="none"
    )
    torch.testing.assert_close(value(logits, targets, soft, 0.0, temperature), temperature**2 * expected.sum(-1))
    # In float32 the whole adds up to 1 but for rounding, and what is left over is nobody's.
    rounded = Soft(ids=soft.ids, logprobs=soft.logprobs.half())
    assert torch.isfinite(value(logits.float(), targets, rounded, 0.0, temperature)).all()


def test_t_to_1():
    """The loss is continuous in T."""
    logits, targets, soft = case()
    near = value(logits, targets, soft, 0.4, 1 + 1e-7)
    torch.testing.assert_close(near, value(logits, targets, soft, 0.4, 1.0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_who_agrees_has_no_loss(temperature: float):
    """A student that is the teacher has a loss of 0 and no gradient, at any T and however few tokens are known."""
    logits, targets, _ = case()
    logprobs, ids = logits.log_softmax(-1).topk(3)
    logits.requires_grad_()
    loss = value(logits, targets, Soft(ids=ids, logprobs=logprobs), 0.0, temperature)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-12, rtol=0)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12


def test_more_alternatives_never_tell_less():
    """At T = 1 the KL of outcomes grows with n, up to that of the vocabulary."""
    logits, targets, whole = case(top=11)
    found = [value(logits, targets, Soft(ids=whole.ids[:, :n], logprobs=whole.logprobs[:, :n]), 0.0, 1.0) for n in range(1, 12)]
    assert all((more >= less - 1e-12).all() for less, more in itertools.pairwise(found))


def test_padding_is_nothing():
    """What stands behind the known alternatives doesn't matter, and no alternatives at all are cross-entropy alone."""
    logits, targets, soft = case()
    other = torch.where(soft.logprobs > -INF, soft.ids, (soft.ids + 5) % logits.shape[1])
    before, after = (value(logits, targets, Soft(ids=ids, logprobs=soft.logprobs), 0.2, 2.0) for ids in (soft.ids, other))
    torch.testing.assert_close(before, after, rtol=0, atol=0)
    assert after[-1] == value(logits, targets, None, 1.0, 1.0)[-1]


def test_sure_students_and_rounded_teachers_stay_finite():
    """Logits of ±60, and log-probabilities in float16 that add up to more than 1: a loss and a gradient that are numbers."""
    logits = torch.tensor([[60.0, -60.0, 0.0, 0.0], [-60.0, 60.0, 0.0, 0.0]], requires_grad=True)
    soft = Soft(ids=torch.tensor([[0, 1], [0, 1]]), logprobs=torch.tensor([[-0.0003, -7.0], [-0.6928, -0.6928]]).half())
    loss = value(logits, torch.tensor([0, 0]), soft, 0.5, 2.0)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def grown(chunk: int | None, kind: torch.dtype = torch.float64) -> tuple[Any, list[Tensor]]:
    """Return sums and gradients of hidden states and of the weights that project them."""
    _, targets, soft = case(n=23, vocabulary=50, top=7, seed=3)
    generator = torch.Generator().manual_seed(9)
    hidden = torch.randn(23, 8, generator=generator, dtype=torch.float64).to(kind).requires_grad_()
    weights = torch.randn(8, 50, generator=generator, dtype=torch.float64).to(kind).requires_grad_()
    sums = summed(hidden, lambda h: h @ weights, targets, soft, alpha=0.3, temperature=2.0, chunk=chunk)
    sums.total.backward()
    return sums, [each.grad for each in (hidden, weights) if each.grad is not None]


@pytest.mark.parametrize("chunk", [None, 1, 5, 23, 100])
def test_chunks_are_the_whole(chunk: int | None):
    """Sums and gradients are those of all positions at once."""
    whole, gradients = grown(0)
    sums, others = grown(chunk)
    for name in ("total", "hard", "soft", "softened"):
        torch.testing.assert_close(getattr(sums, name), getattr(whole, name))
    for other, gradient in zip(others, gradients, strict=True):
        torch.testing.assert_close(other, gradient)
    assert whole.softened.item() == 22


def test_chunks_hold_one_chunk():
    """Between loss and gradient nothing of the size of the logits is kept."""
    held = []
    _, targets, soft = case(n=64, vocabulary=500, top=4)
    hidden = torch.randn(64, 8, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(8, 500, dtype=torch.float64, requires_grad=True)
    for chunk in (0, 8):
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            summed(hidden, lambda h: h @ weights, targets, soft, alpha=0.5, temperature=1.0, chunk=chunk)
        held.append(sum(kept))
    assert held[0] > 64 * 500
    assert held[1] < 64 * 500
