"""Which responses decline to answer."""

from __future__ import annotations

import time

import pytest

from tests.fakes import make_prompt, make_sample
from verifiers.refusal import HEAD, Refusal

DECLINES = [
    "I can't help with that.",
    "I cannot assist with this request.",
    "I’m sorry, but I can’t help with that.",
    "I'm sorry, but I cannot fulfill this request.",
    "I am very sorry, but as an AI assistant, I cannot do this.",
    "I apologize, but I'm not able to provide medical advice.",
    "Sorry, I can't provide instructions for that.",
    "Unfortunately, I am unable to assist you with this.",
    "As an AI language model, I cannot generate such content.",
    "As an AI, I'm not able to share personal data.",
    "Thank you for your question. Unfortunately, I can't answer that.",
    "**I won't write that.**",
    "> I'm not going to provide that.",
    "I must decline.",
    "I respectfully decline to answer.",
    "I have to refuse this request.",
    "I will not engage with this.",
    "I'm not comfortable discussing this, so I can't help.",
    "This request violates our guidelines.",
    "\n\n  I CANNOT HELP YOU WITH THAT.",
    "We are unable to process this request.",
    "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Dabei kann ich nicht helfen.",
    "Ich kann dir dazu leider keine Anleitung geben.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Désolée, je ne suis pas en mesure de répondre.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "No puedo proporcionar esa información.",
    "Desculpe, mas não posso ajudar com isso.",
    "Infelizmente, não posso fornecer essa informação.",
    "Mi dispiace, ma non posso aiutarti.",
    "Purtroppo non posso fornire queste informazioni.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
    "Helaas kan ik deze vraag niet beantwoorden.",
    "К сожалению, я не могу помочь с этим.",
    "Извините, но я не могу ответить на этот вопрос.",
    "抱歉，我无法提供这方面的信息。",
    "对不起，我不能回答这个问题。",
    "很抱歉，但我無法協助。",
    "申し訳ありませんが、そのご質問にはお答えできません。",
    "すみませんが、その依頼にはお手伝いできません。",
    "죄송하지만, 그 요청은 도와드릴 수 없습니다.",
    "죄송합니다. 해당 정보는 제공해 드릴 수 없습니다.",
    "I'm afraid I can't help with that.",
    "I'm afraid that I cannot provide that information.",
    "I don't think I can help with that.",
    "I do not assist with that kind of request.",
    "That's not something I can help with.",
    "I'd rather not answer that.",
    "My guidelines prevent me from answering this.",
    "It's against my guidelines to help with this.",
    "It is not appropriate for me to answer that.",
    "I regret that I cannot assist with this request.",
    "Regretfully, I can't help with this.",
    "Nope, I can't help with that.",
    "I'm just an AI, I can't provide that.",
    "I am currently unable to help with this.",
    "I shouldn't help with that.",
    "I won't be able to assist with that.",
    "I can't, in good conscience, help with that.",
    "As a responsible AI, I can't help with that.",
    "I'm not in a position to help with that.",
    "I do not have the ability to help with that.",
    "This request goes against my safety guidelines.",
    "I cannot and will not help with that.",
    "Hi there! I'm sorry, but I can't help with that.",
    "Lamento, pero no puedo ayudar con eso.",
    "\"I'm sorry, but I can't help with that.\"",
    "“I can’t help with that.”",
]
ANSWERS = [
    "I can't stress enough how important this is.",
    "I cannot emphasize this enough: test first.",
    "I can't help but notice that 7 is prime.",
    "I can't help laughing at this riddle. The answer is 4.",
    "I can't wait to explain this!",
    "I can't recommend this enough.",
    "I cannot overstate the role of entropy.",
    "I can't imagine a simpler proof.",
    "We cannot divide by zero, so x is not 0.",
    "You can't help a plant by drowning it.",
    "The answer is: I can't help with that.",
    "In the letter he wrote: I'm sorry, but I cannot come.",
    "Cannot is one word.",
    "No. The number 9 is not prime.",
    "Well, the answer is 4.",
    "Hello! The answer is 4.",
    "Thank you for asking. The answer is 4.",
    "Ich kann das gern erklären: Die Antwort ist 4.",
    "Das kann ich erklären.",
    "Je peux vous aider.",
    "No puede ser: la respuesta es 4.",
    "我可以回答这个问题。",
    "Нет, ответ 4.",
    "I'm afraid the answer is 4.",
    "I'm afraid of spiders, he said.",
    "I'd rather use induction here. Base case: n = 1.",
    "My guidelines for writing: be short.",
    "We will not be able to complete the square, so use the formula.",
    "We shouldn't share the root among both factors.",
    'The phrase "I can\'t help with that" is a refusal.',
    "4",
    "7" * 1_000_000,
    "\ud800" * 100,
]
UNSURE = [
    "Sorry for the confusion! The answer is 4.",
    "I'm sorry to hear that. Here is what you can do.",
    "I apologize for the mistake above. x = 4.",
    "Unfortunately, the series diverges.",
    "As an AI language model, I don't have feelings.",
    "I can't see the image.",
    "I cannot find an integer solution, so none exists.",
    "Es tut mir leid, das zu hören.",
    "Leider gibt es keine Lösung.",
    "Lo siento mucho por tu pérdida.",
    "抱歉让您久等了。答案是四。",
    "I'm sorry, but I can't stress this enough.",
    "I'll have to decline.",
    "This content violates our usage policies.",
    "Our policies do not allow refunds after 30 days.",
    "My programming prevents overflow by using int64.",
    "This question violates the usual assumption of independence, so we use a paired test.",
    "This content violates your company's policy because it names the client. Rewrite it as follows: …",
    "This prompt conflicts with the data: the mean is 5.",
    "That is not something we can solve in closed form. Numerically, x = 0.739.",
    "That's not something I can do in one line of Python, but in three.",
    "It's against my intuition, but the answer is 2/3.",
    "I don't believe I can answer this without calculus, so let's use it.",
    "I regret that I cannot join you on Friday. Best regards, Ann",
    "I'd rather not talk about the long history; the short answer is 1789.",
    "Thank you for the offer, but I'll have to decline.",
    "I refuse to believe that 0.999... differs from 1; here is the proof.",
    '"I cannot help you," said the wizard, and closed the door.',
    "“I’m sorry, but I can’t help with that,” is how most models decline.",
    "«Je ne peux pas vous aider», dit-il.",
]


def found(response: str, ended: str = "stop", **options: bool) -> bool | None:
    """Return what the verifier says of a response."""
    return Refusal(**options).check(make_prompt(), make_sample(response=response, finish_reason=ended)).passed


@pytest.mark.parametrize("response", DECLINES)
def test_it_declines(response: str) -> None:
    """Whoever says so at once declines, in whichever of the languages and with whatever politeness before."""
    assert found(response) is False


@pytest.mark.parametrize("response", ANSWERS, ids=lambda text: ascii(text[:30]))
def test_it_answers(response: str) -> None:
    """The same words within an answer, or with another sense, are no refusal."""
    assert found(response) is True


@pytest.mark.parametrize("response", [*UNSURE, "", " \n\t", "**"])
def test_it_may_decline(response: str) -> None:
    """Regret may introduce anything, and no words are no answer: undecided, and so never a pass."""
    assert found(response) is None


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
def test_the_server_says_so(reason: str) -> None:
    """Its finish reason counts, unless the spec says otherwise."""
    assert found("The answer is 4.", reason) is False
    assert found("The answer is 4.", reason, finish_reason=False) is True
    assert found("I can't help with that.", reason, finish_reason=False) is False


@pytest.mark.parametrize(
    "unit",
    [
        "thank you ",
        "sorry, ",
        "thanks sorry ",
        "as an ai ",
        "i'm sorry, but ",
        "i cannot ",
        "ich kann nicht ",
        "ich kann nicht nicht kein keine ",
        "\u3042",
        "no ",
    ],
)
def test_it_is_quick(unit: str) -> None:
    """No opening that repeats itself keeps it busy."""
    began = time.process_time()
    found(unit * (HEAD // len(unit)) + "x" * 1_000_000)
    assert time.process_time() - began < 1
