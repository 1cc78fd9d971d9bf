"""From a prompt to what is sent."""

from __future__ import annotations

import jinja2
import pytest

from storage.errors import SpecError
from storage.records import Message, Prompt
from tasks.templates import Template, TemplateOptions
from tests.fakes import make_prompt, user

SYSTEM = Message(role="system", content="The source's.")
TALK = make_prompt("Last?", messages=(SYSTEM, *user("First?"), Message(role="assistant", content="Yes."), *user("Last?")))


def render(prompt: Prompt, **options: str) -> tuple[Message, ...]:
    """Render one prompt."""
    return Template(TemplateOptions(**options), where="spec.yaml").render(prompt, place="p.jsonl:3")


class TestRender:
    """What is sent."""

    def test_default(self):
        """Left out, the template sends the prompt as it is."""
        assert render(make_prompt("Hi")) == user("Hi")

    def test_variables(self):
        """A text may use all that a prompt has."""
        prompt = make_prompt("Q", prompt_id="p7", reference="R", tests="T", tags={"topic": "sums"}, source="f.jsonl")
        text = "{{ prompt }}|{{ reference }}|{{ tests }}|{{ tags.topic }}|{{ tags['topic'] }}|{{ id }}|{{ source }}"
        assert render(prompt, user=text) == user("Q|R|T|sums|sums|p7|f.jsonl")

    @pytest.mark.parametrize("text", ["{{ 1 + 1 }}", "{% raw %}", "{# gone #}", "{{", "a & b < c", "{{ prompt }}"])
    def test_a_prompt_is_data(self, text: str):
        """What looks like a template in a prompt is sent as it stands, and nothing is escaped."""
        assert render(make_prompt(text)) == user(text)

    def test_system_of_the_template(self):
        """The template's system text goes first, in place of the source's."""
        first, *rest = render(TALK, system="About {{ prompt }}")
        assert first == Message(role="system", content="About Last?")
        assert [message.role for message in rest] == ["user", "assistant", "user"]

    def test_system_of_the_source(self):
        """Without one, the source's own stays."""
        assert render(TALK)[0] == SYSTEM

    def test_only_the_last_turn_is_the_templates(self):
        """Earlier turns are sent as they stand."""
        assert [message.content for message in render(TALK, user="> {{ prompt }}")][1:] == ["First?", "Yes.", "> Last?"]

    @pytest.mark.parametrize("text", ["Be brief.", "One line\nand another\n", "100 % & <b>", "\r\nAs on Windows.\r\n"])
    def test_a_text_without_variables(self, text: str):
        """It is what the engine would make of it."""
        assert render(make_prompt("Hi"), system=text)[0].content == jinja2.Template(text).render()

    def test_white_space(self):
        """A trailing line break of a YAML block isn't sent; one in the prompt is."""
        assert render(make_prompt("Hi\n"), user="{{ prompt }}\n") == user("Hi\n")


COMPILED = {
    "syntax": ("a\n{{ prompt", "template.user, line 2: "),
    "a filter that isn't there": ("{{ prompt | shout }}", "template.user, line 1: No filter named 'shout'"),
    "a tag that isn't there": ("{% say %}", "template.user, line 1: "),
}
RENDERED = {
    "an undefined variable": ("{{ answer }}", "'answer' is undefined"),
    "an undefined tag": ("{{ tags.topic }}", "no attribute 'topic'"),
    "nothing": ("{{ '' }}", "is empty"),
    "white space": ("{{ ' ' }}\n", "is empty"),
    "division": ("{{ 1 / 0 }}", "division by zero"),
    "a method of nothing": ("{{ reference.strip() }}", "no attribute 'strip'"),
    "a filter that isn't for numbers": ("{{ 5 | wordwrap }}", "splitlines"),
    "an include": ("{% include 'secrets' %}", "no loader"),
    "a long loop": ("{% for i in range(10000000) %}x{% endfor %}", "Range too big"),
    "a class": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "globals": ("{{ cycler.__init__.__globals__.os }}", "unsafe"),
    "subclasses": ("{{ [].__class__.__base__.__subclasses__() }}", "unsafe"),
    "format's way in": ("{{ '{0.__class__}'.format(prompt) }}", "unsafe"),
    "a builtin": ("{{ open('secrets') }}", "'open' is undefined"),
    "a change of data": ("{{ tags.update({'a': 'b'}) }}", "unsafe"),
}


@pytest.mark.parametrize(("text", "message"), COMPILED.values(), ids=COMPILED)
def test_refused_at_once(text: str, message: str):
    """A text that doesn't parse is refused before any prompt is read."""
    with pytest.raises(SpecError) as caught:
        Template(TemplateOptions(user=text), where="spec.yaml")
    assert str(caught.value).startswith(f"spec.yaml: {message}")


@pytest.mark.parametrize("name", ["system", "user"])
@pytest.mark.parametrize(("text", "message"), RENDERED.values(), ids=RENDERED)
def test_refused_for_a_prompt(name: str, text: str, message: str):
    """What goes wrong with a prompt, an escape from the sandbox included, names the text and the prompt's place."""
    with pytest.raises(SpecError) as caught:
        render(make_prompt(), **{name: text})
    said = str(caught.value)
    assert said.startswith(f"spec.yaml: template.{name}")
    assert "prompt at p.jsonl:3" in said
    assert message in said
