"""The compressed distributions that Arcee's DistillKit trains from, https://github.com/arcee-ai/DistillKit (`LogprobCompressor`).

Of each token's k alternatives, best first, `exact_k` log-probabilities are kept as they are; the others are a polynomial in their
rank, whose coefficients are fitted by least squares, and what that misses may be kept in a few bits each. Ids are packed into as
many bits as the vocabulary asks for, the most significant first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, model_validator

from tasks.options import Options

Kind = Literal["float16", "bfloat16", "float32", "float64"]
Term = int | Literal["sqrt", "exp"]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]
BUDGET_K = 50
"""Alternatives from which on a polynomial is worth it: DistillKit's own choice where room is short."""
FILLER = -100.0
"""The log-probability of what isn't there: no probability is left of it, and it is a number in every kind of float."""
_ENOUGH = 0.9
"""The share of tokens that must have as many."""
_TOLERANCE = 1e-5
"""Singular values below it are none."""


class Bin(Options):
    """What the polynomial misses of some alternatives, in a few bits each."""

    scale_dtype: Kind
    """Of the bin's scale."""
    element_bits: int = Field(ge=1, le=32)
    """Bits of each alternative."""
    num_elements: int = Field(ge=1)
    """Alternatives in the bin."""


class CodecOptions(Options):
    """`DistributionQuantizationConfig` of DistillKit, less what it advises against."""

    k: int = Field(ge=1)
    """Alternatives of each token."""
    exact_k: int = Field(ge=0)
    """The best of them, which are kept as they are."""
    exact_dtype: Kind = "float32"
    """As which kind of float."""
    polynomial_terms: tuple[Term, ...] | None = None
    """Powers of the rank among the others, its root, or its exponential."""
    term_dtype: Kind = "float32"
    """Of the coefficients."""
    residual_bins: tuple[Bin, ...] = ()
    """For the best of the others, and so on."""
    delta_encoding: bool = False
    """Whether each is kept as its difference to the one before."""
    normalize_t: bool = False
    """Whether ranks go from 0 to 1."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.exact_k > self.k:
            raise ValueError("exact_k: at most k")
        if self.exact_k < self.k and not self.polynomial_terms and not self.residual_bins:
            raise ValueError("exact_k: where it is less than k, the others need polynomial_terms or residual_bins")
        others, binned = self.k - self.exact_k, sum(each.num_elements for each in self.residual_bins)
        if binned > others:
            raise ValueError("residual_bins: together they have at most k - exact_k elements")
        if binned < others and not self.polynomial_terms:  # what is in none is read as a probability of 1
            raise ValueError("residual_bins: without polynomial_terms, together they have k - exact_k elements")
        for term in self.polynomial_terms or ():
            with np.errstate(over="ignore"):
                known = _rounded(_at(term, self.ranks)[None], self.term_dtype)
            if not np.isfinite(known).all():
                told = f"{term!r} of {others} ranks is no number in {self.term_dtype}"
                raise ValueError(f"polynomial_terms: {told}; take a wider term_dtype, or normalize_t")
        return self

    @property
    def ranks(self) -> Floats:
        """The ranks that a polynomial is of."""
        number = self.k - self.exact_k
        return np.linspace(0, 1, number) if self.normalize_t else np.arange(number, dtype=np.float64)

    @property
    def joined_dtype(self) -> Kind:
        """As which kind of float all is read back: torch takes a wider one where it puts exact and fitted ones together."""
        if not self.polynomial_terms or self.term_dtype == self.exact_dtype:
            return self.exact_dtype
        sizes: dict[int, Kind] = {_SIZES[self.term_dtype]: self.term_dtype, _SIZES[self.exact_dtype]: self.exact_dtype}
        # Of two different halves neither holds the other.
        return sizes[max(sizes)] if len(sizes) > 1 else "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Compresses distributions, and reads them back."""

    options: CodecOptions
    """How."""
    size: int
    """Of the student's vocabulary."""

    @classmethod
    def choose(cls, options: CodecOptions | None, size: int, counts: npt.NDArray[np.int64], *, most: int) -> Codec:
        """Return the codec of these options; without any, of what there is: `counts` alternatives of tokens, `most` at most."""
        if options is None:
            some = counts[counts > 0]
            if len(some) and np.mean(some >= BUDGET_K) >= _ENOUGH:
                terms: tuple[Term, ...] = (0, 1, "sqrt")
                options = CodecOptions(k=BUDGET_K, exact_k=1, exact_dtype="bfloat16", polynomial_terms=terms)
            else:
                options = CodecOptions(k=max(1, most), exact_k=max(1, most), exact_dtype="float16")
        return cls(options=options, size=size)

    @property
    def exact(self) -> bool:
        """Whether nothing is fitted: then a token may have fewer alternatives than k."""
        return self.options.exact_k == self.options.k

    @property
    def index_bits(self) -> int:
        """Return the bits of an id."""
        return max(1, int(np.ceil(np.log2(np.float32(self.size)))))

    def config(self) -> dict[str, Any]:
        """Return what DistillKit is told of it, as `teacher.logprob_compressor`."""
        return {"d": self.size, **self.options.model_dump(mode="json"), "error_diffusion": False}

    def yaml(self) -> str:
        """Return the same as a file."""
        return yaml.safe_dump(self.config(), sort_keys=False)

    def filled(self, counts: Ids, ids: npt.NDArray[np.int32], logprobs: npt.NDArray[np.float32]) -> tuple[Ids, Floats]:
        """Return tables of the k ids and log-probabilities of each token, whose alternatives lie flat.

        What isn't there has an id that is none of the token's own, and no probability.
        """
        number, k = len(counts), self.options.k
        rank = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
        row = np.repeat(np.arange(number), counts)
        keep = rank < k
        row, rank, kept = row[keep], rank[keep], ids[keep]
        values = np.full((number, k), FILLER)
        values[row, rank] = np.maximum(logprobs[keep], FILLER)
        # Ids that the token's own aren't, so that no id stands twice.
        used = np.zeros((number, min(2 * k, self.size)), bool)
        small = kept < used.shape[1]
        used[row[small], kept[small]] = True
        table: Ids = np.argsort(used, axis=1, kind="stable")[:, :k].astype(np.int64)
        there = np.minimum(counts, k)
        # The first unused ones go behind the token's own.
        shift = np.arange(k) - there[:, None]
        table = np.where(shift >= 0, np.take_along_axis(table, np.maximum(shift, 0), 1), 0)
        table[row, rank] = kept
        return table, values

    def encode(self, ids: Ids, values: Floats) -> tuple[Bytes, Bytes]:
        """Return the bytes of log-probabilities and of ids, a row for each token."""
        options = self.options
        given = np.concatenate([values[:, :1], np.diff(values, axis=1)], axis=1) if options.delta_encoding else values
        parts = [_stored(given[:, : options.exact_k], options.exact_dtype)]
        others = given[:, options.exact_k :]
        if options.polynomial_terms:
            terms = self._terms()
            inverse = np.linalg.pinv(terms, rcond=_TOLERANCE / np.linalg.norm(terms, 2)) if terms.size else terms.T
            coefficients = _stored(others @ inverse.T, options.term_dtype)
            parts.append(coefficients)
            others = others - self._fitted(_read(coefficients, options.term_dtype))
        first = 0
        for each in options.residual_bins:
            parts += _quantised(others[:, first : first + each.num_elements], each)
            first += each.num_elements
        return np.concatenate(parts, axis=1), _packed(ids, self.index_bits)

    def decode(self, compressed: Bytes, indices: Bytes) -> tuple[Ids, Floats]:
        """Return the ids and log-probabilities that DistillKit reads from these bytes."""
        options, at = self.options, 0

        def taken(number: int, kind: Kind) -> Floats:
            nonlocal at
            at += (size := number * _SIZES[kind])
            return _read(np.ascontiguousarray(compressed[:, at - size : at]), kind)

        exact = taken(options.exact_k, options.exact_dtype)
        missed = np.zeros((len(compressed), options.k - options.exact_k))
        fitted = self._fitted(taken(len(options.polynomial_terms), options.term_dtype)) if options.polynomial_terms else 0.0
        first = 0
        for each in options.residual_bins:
            scale = taken(1, each.scale_dtype)
            size = -(-each.num_elements * each.element_bits // 8)
            steps = _unpacked(compressed[:, at : at + size], each.element_bits, each.num_elements)
            at += size
            signed = steps * 2 - 1 if each.element_bits == 1 else steps - _least(each)
            missed[:, first : first + each.num_elements] = scale * signed
            first += each.num_elements
        others = fitted + _rounded(missed, options.exact_dtype)
        values = _rounded(np.concatenate([exact, others], axis=1), options.joined_dtype)
        if options.delta_encoding:
            values = _rounded(np.cumsum(values.astype(np.float32), axis=1), options.exact_dtype)
        return _unpacked(indices, self.index_bits, options.k), values

    def _terms(self) -> Floats:
        """Return the polynomial's terms at each rank."""
        return np.stack([_at(term, self.options.ranks) for term in self.options.polynomial_terms or ()], axis=1)

    def _fitted(self, coefficients: Floats) -> Floats:
        """Return the polynomial's values at each rank, in the steps in which DistillKit rounds them."""
        kind = self.options.term_dtype
        products = coefficients[:, None, :] * _rounded(self._terms(), kind)
        number, ranks, terms = products.shape
        products = _rounded(products.reshape(number * ranks, terms), kind)
        return _rounded(products.sum(axis=1).reshape(number, ranks), kind)


def _at(term: Term, ranks: Floats) -> Floats:
    if isinstance(term, str):
        return np.sqrt(ranks) if term == "sqrt" else np.exp(ranks)
    return ranks**term


_SIZES: dict[Kind, int] = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
_PLAIN = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}


def _stored(values: npt.NDArray[Any], kind: Kind) -> Bytes:
    """Return floats as bytes, little-endian, a row for each of theirs."""
    if kind == "bfloat16":  # the upper half of float32, rounded to even
        whole = np.ascontiguousarray(values, "<f4").view("<u4")
        raw = ((whole + 0x7FFF + (whole >> 16 & 1)) >> 16).astype("<u2")
    else:
        raw = np.ascontiguousarray(values, _PLAIN[kind])
    found: Bytes = raw.view(np.uint8).reshape(len(values), values.shape[1] * _SIZES[kind])
    return found


def _read(raw: Bytes, kind: Kind) -> Floats:
    if kind == "bfloat16":
        return (raw.view("<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    return raw.view(_PLAIN[kind]).astype(np.float64)


def _rounded(values: npt.NDArray[Any], kind: Kind) -> Floats:
    return _read(_stored(values, kind), kind)


def _least(each: Bin) -> int:
    """Return the step that stands for the lowest value, below zero."""
    return 1 << each.element_bits - 1


def _quantised(values: Floats, each: Bin) -> list[Bytes]:
    """Return a scale and steps of it, for each row."""
    largest = np.abs(values).max(axis=1, keepdims=True)
    steps = 1 if each.element_bits == 1 else _least(each)
    stored = _stored(np.where(largest == 0, 1.0, largest / steps), each.scale_dtype)
    scaled = np.rint(values / _read(stored, each.scale_dtype))
    if each.element_bits == 1:
        return [stored, _packed(np.clip(scaled, 0, 1).astype(np.int64), 1)]
    return [stored, _packed((np.clip(scaled, -steps, steps - 1) + steps).astype(np.int64), each.element_bits)]


def _packed(numbers: Ids, bits: int) -> Bytes:
    """Return whole numbers of so many bits each, the most significant first, each row filled up to whole bytes."""
    split = (numbers[:, :, None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8)
    return np.packbits(split.reshape(len(numbers), numbers.shape[1] * bits), axis=1)


def _unpacked(raw: Bytes, bits: int, number: int) -> Ids:
    split = np.unpackbits(np.ascontiguousarray(raw), axis=1)[:, : number * bits].reshape(len(raw), number, bits)
    return split.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
