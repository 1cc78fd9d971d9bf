"""Whether two teachers of a spec are one model, which providers, hubs and servers spell in ways of their own."""

from __future__ import annotations

import re

from tasks.teachers.options import TeacherOptions

_OF_BEDROCK = re.compile(r"-v?\d+:\d+$")
_DATE = re.compile(
    r"[-@](?:(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])|(2\d(?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])))$"
)
"""2024-08-06, 20240806, and 2407 (July 2024) or 0613 (13 June)."""
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_MAKERS = frozenset({"amazon", "anthropic", "apac", "cohere", "eu", "google", "meta", "openai", "us"})
"""What stands before a name: whose it is, and in which region."""
_FORM = re.compile(
    r"[-_.:@](?:latest|free|awq|gptq|gguf|ggml|exl[23]|mlx|bnb|hqq|nf4|onnx|qat|i1|ud|marlin|dynamic|quantized|safetensors|\d{5}-of-\d{5}"
    r"|(?:int|fp|bf|nvfp|mxfp)(?:4|8|16|32)|w\d{1,2}a\d{1,2}|g\d{2,3}|[2-8]-?bit|i?q[1-8](?:_[k\d])?(?:_(?:x{0,2}[sl]|m|nl))?)$"
)
"""What stands behind: a form of the weights, a tariff, and the newest."""
_FAMILIES = frozenset(
    {"chatgpt", "claude", "codestral", "command", "deepseek", "devstral", "doubao", "ernie", "gemini", "gemma", "glm", "gpt"}
    | {"grok", "hunyuan", "kimi", "llama", "magistral", "minimax", "ministral", "mistral", "mixtral", "nova", "open", "phi"}
    | {"pixtral", "qwen", "sonar", "voxtral", "yi"}
)
"""How models' names begin that have no number: mistral-large, deepseek-chat."""
_ANYBODYS = frozenset(
    {"adapter", "checkpoint", "default", "epoch", "final", "judge", "llm", "local", "lora", "model", "run", "server", "step"}
    | {"student", "teacher", "test", "version"}
    | {"custom", "distilled", "dpo", "finetune", "finetuned", "ft", "mine", "my", "sft", "trained", "tuned"}
)
"""Words that name no model."""


def one_model(one: TeacherOptions, other: TeacherOptions) -> bool:
    """Whether two teachers are the same model by their names: of two servers, only where the name tells which model it is."""
    (named, dated), (named_too, dated_too) = _name(one.model), _name(other.model)
    same = named == named_too and (dated == dated_too or not (dated and dated_too))
    return same and (bool(_places(one) & _places(other)) or _tells(named))


def _places(teacher: TeacherOptions) -> set[tuple[str, str | None, str | None]]:
    return {(line.vendor, line.base_url and line.base_url.rstrip("/"), line.path) for line in teacher.lines}


def _name(model: str) -> tuple[tuple[str, ...], str]:
    """Return a name's words and numbers, however they are joined, and apart from these its date, which one side may leave out."""
    name = _without_form(_OF_BEDROCK.sub("", model.casefold().rstrip("/").rpartition("/")[2]))
    found = _DATE.search(name)
    words = _WORDS.findall(_without_form(name[: found.start()]) if found else name)
    while len(words) > 1 and (words[0] in _MAKERS or words[0] == words[1]):  # mistral.mistral-large
        words = words[1:]
    return tuple(words), "".join(each for each in found.groups() if each) if found else ""


def _without_form(name: str) -> str:
    while form := _FORM.search(name):
        name = name[: form.start()]
    return name


def _tells(name: tuple[str, ...]) -> bool:
    """Whether a name is a model's wherever it stands (gpt-4o), and not what anybody may call one (m, default, student-2)."""
    words = [word for word in name if not word.isdecimal()]
    if len(words) == len(name):
        return len(words) > 1 and words[0] in _FAMILIES and _ANYBODYS.isdisjoint(words)
    return any(len(word) > 1 and word not in _ANYBODYS for word in words)
