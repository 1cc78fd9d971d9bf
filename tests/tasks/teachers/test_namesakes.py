"""One model under several names."""

from __future__ import annotations

import pytest

from tasks.teachers.namesakes import one_model
from tests.fakes import make_options

ELSEWHERE = "http://elsewhere.example/v1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o", "openai/gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama3.1:8b-instruct"),
        ("meta-llama/llama-3.1-8b-instruct:free", "us.meta.llama3-1-8b-instruct-v1:0"),
        ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet-20241022"),
        ("claude-3-5-sonnet@20241022", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "/models/Qwen2.5-7B-Instruct/"),
        ("Qwen/Qwen2.5-7B-Instruct-GGUF", "qwen2.5-7b-instruct.gguf"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "Qwen2.5-7B-Instruct"),
        ("bartowski/Qwen2.5-7B-Instruct-GGUF", "/models/Qwen2.5-7B-Instruct.Q4_K_M.gguf"),
        ("Qwen2.5-7B-Instruct-IQ4_XS.gguf", "Qwen/Qwen2.5-7B-Instruct-Q8_0-GGUF"),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "meta-llama/Llama-3.1-8B-Instruct"),
        ("RedHatAI/Llama-3.1-8B-Instruct-quantized.w4a16", "unsloth/Llama-3.1-8B-Instruct-bnb-4bit"),
        ("llama3.1:8b-instruct-q4_K_M", "llama3.1:8b-instruct"),
        ("Mistral-Large-Instruct-2407-AWQ", "mistralai/Mistral-Large-Instruct-2407"),
        ("mistral-large", "mistralai/mistral-large"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("mistral-large-2402", "mistral.mistral-large-2402-v1:0"),
        ("deepseek-chat", "deepseek/deepseek-chat"),
        ("deepseek-reasoner", "deepseek-reasoner"),
        ("command-r-plus", "cohere.command-r-plus-v1:0"),
        ("openai/gpt-oss-120b", "openai.gpt-oss-120b-1:0"),
    ],
)
def test_one_model_elsewhere(one: str, other: str) -> None:
    """A model is known by its name at another server, whoever spells it."""
    here, there = make_options(model=one), make_options(model=other, base_url=ELSEWHERE)
    assert one_model(here, there)
    assert one_model(there, here)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("mistral-large-2402", "mistral-large-2407"),
        ("Qwen/Qwen2-57B-Instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("llama3.1:8b", "llama3.1:70b"),
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct"),
        ("mistral-large", "mistral-small"),
        ("deepseek-chat", "deepseek-reasoner"),
        ("Qwen2.5-7B-Instruct-AWQ", "Qwen2.5-14B-Instruct-AWQ"),
        ("llama3.1:8b-instruct-q4_K_M", "llama3.1:70b-instruct-q4_K_M"),
        ("mistral", "mistral"),
        ("llama-finetuned", "llama-finetuned"),
        ("my-model", "my-model"),
        ("small-awq", "small-awq"),
        ("m", "m"),
        ("default", "default"),
        ("model-1", "model-1"),
        ("student-2", "student-2"),
        ("/out/checkpoint-500", "/other/checkpoint-500"),
        ("2024", "2024"),
    ],
)
def test_two_models_elsewhere(one: str, other: str) -> None:
    """Another size, another snapshot and another tuning are other models, and so may be what two servers call by a common word."""
    here, there = make_options(model=one), make_options(model=other, base_url=ELSEWHERE)
    assert not one_model(here, there)
    assert not one_model(there, here)


def test_the_same_server() -> None:
    """There any name is the same model's, also where the server is one of several replicas, and in a batch."""
    one = make_options(provider="openai", model="m", replicas=[{"base_url": "http://a.example/v1"}, {"base_url": ELSEWHERE}])
    assert one_model(one, make_options(provider="openai", model="M", base_url=ELSEWHERE + "/"))
    assert not one_model(one, make_options(provider="openai", model="m", base_url="http://b.example/v1"))
    assert one_model(make_options(provider="openai", model="m"), make_options(provider="openai-batch", model="m"))


def test_files() -> None:
    """What a local server is given is a file: two files are two models, whatever they are called."""
    one, other = (make_options(provider="local", model="m", path=path) for path in ("a.gguf", "b.gguf"))
    assert one_model(one, one)
    assert not one_model(one, other)
