"""Where a response's final answer stands, and what it is. The tables are the specification; None: there is no answer."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.judging.fences import visible
from verifiers.reading.answers import Answer, NoAnswer, find_number, find_texts, whole_number
from verifiers.reading.choices import find_choice

MEGABYTE = 1_000_000


def ids(case: object) -> str | None:
    """Name a case by its text."""
    return visible(" ".join(case.split()))[:70] if isinstance(case, str) else None


def number(text: str) -> Fraction | None:
    """Return the final number, or None."""
    found = find_number(text)
    return found.value if isinstance(found, Answer) else None


MARKERS = [
    ("The answer is 72.", 72),
    ("the final answer is 72", 72),
    ("The correct answer is therefore 72.", 72),
    ("The answer, then, is 72.", 72),
    ("The answer should be 72.", 72),
    ("The answer to the question of how many clips she sold is 72.", 72),
    ('The answer to the problem "how many clips" is 72.', 72),
    ("Final Answer: The final answer is $72$. I hope it is correct.", 72),
    ("answer is 5. Next, we take 7 and 9.", 5),
    ("Answer: 42", 42),
    ("Answer:42", 42),
    ("ANSWER: 42", 42),
    ("Ans: 42", 42),
    ("A: 42", 42),
    ("Answer = 42", 42),
    ("Answer (in dollars): 42", 42),
    ("**Answer**: 42", 42),
    ("**Answer:** 42", 42),
    ("**Answer: 42**", 42),
    ("**Final Answer:** $42", 42),
    ("### Final Answer: 42", 42),
    ("## Answer\n\n42", 42),
    ("**Final Answer**\n\n42 clips", 42),
    ("Answer:\n\n- 42", 42),
    ("The answer is\n\n> 42", 42),
    ("The answer is:\n$$\n\\frac{1}{2}\n$$\n", Fraction(1, 2)),
    ("#### 72", 72),
    ("She sold 48 + 24 = <<48+24=72>>72 clips.\n#### 72", 72),
    ("\\boxed{72}", 72),
    ("$$\\boxed{72}$$ is what she sold in 2 months.", 72),
    ("So the answer is $\\boxed{72}$.", 72),
    ("\\boxed{x = 72}", 72),
    ("\\boxed{\\$72}", 72),
    ("\\boxed{72\\text{ apples}}", 72),
    ("\\boxed{72\\text{ cm}^2}", 72),
    ("\\boxed{72^\\circ}", 72),
    ("\\boxed{\\frac{14}{3}}", Fraction(14, 3)),
    ("$\\textbf{(B)}\\ 5$ is not marked, the answer is $\\textbf{(B)}\\ 5$", 5),
    ("<answer>12</answer>", 12),
    ("<think>The answer is 5.</think>\nThe answer is 6.", 6),
]
RESTATED = [
    ("**Answer:**\n\nIf each pen costs $2 and she buys 5, the answer is 10.", 10),
    ("Answer:\n1. If each pen costs $2 and she buys 5, the answer is 10.", 10),
    ("Answer: Tom has 5 apples. If he eats 2, the answer is 3.", 3),
    ("If n is 3, the answer is 9. Here n is 4, so the answer is 16.", 16),
    ("The first answer is 5. If we then add 3, the answer is 8.", 8),
    ("You might think the answer is 12, but it is actually 15.", 15),
    ("The answer is 5. Checking again, the answer is 6.", 6),
    ("Answer: 5\nAnswer: 6", 6),
    ("\\boxed{5} was too quick. \\boxed{6}", 6),
    ("The answer is 5.\n#### 6", 6),
    ("\\boxed{6}. The boxes are numbered 1 to 9.", 6),
    ("The answer is 6.\n\nLet me double check this: 3 * 2 = 6.", 6),
    ("Thus 3 + 4 = 7. The answer is obvious.", 7),
    ("The answer is 6. The reasoning behind the answer is simple.", 6),
]
CLAUSES = [
    ("The answer is 5 when n = 4.", 5),
    ("The answer is 5 (n = 4).", 5),
    ("The answer is $5$ for $n = 4$.", 5),
    ("**Answer: 5** when n = 4", 5),
    ("The answer is 5 apples, attained at x = 4.", 5),
    ("The answer is 3 + n = 5 with n = 2", 5),
    ("#### 5 because n = 4 and m = 1", 5),
    ("The answer is 12 apples.", 12),
    ("The answer is not 5 but 6", 6),
    ("The answer is not 5. It is 6.", 6),
    ("The answer is 6, not 5.", 6),
    ("The answer is 73 (not 72)", 73),
    ("The answer is 10-2=8", 8),
    ("The answer is 3 x 4 = 12", 12),
    ("The answer is 3 * 4 = 12 apples", 12),
    ("The answer is 8 = 10-2", 8),
    ("The answer is 5 + 3, which is 8.", 8),
    ("The answer is 48/2 = 24", 24),
    ("The answer is x = 5", 5),
    ("The answer is \\sqrt{16} = 4", 4),
    ("The answer is 12, because 3*4 = 12 and not 13.", 12),
    ("The answer is 12 (3 boxes of 4).", 12),
    ("The answer is 20 for 4 people", 20),
    ("The answer is 12 of the 50 students", 12),
    ("The answer is 5 hours to read 120 pages", 5),
    ("The answer is 18 dollars every day at the farmer's market", 18),
    ("The answer is 3 times as many", 3),
    ("The answer is that there are 12 apples in 3 boxes", 12),
    ("The answer is that in 5 days she makes 100 - 10 = 90", 90),
    ("The answer is approx. 5 kg", 5),
    ("The answer is about 5.", 5),
    ("The answer is 5 or 5.0", 5),
    ("Therefore, the answer is 72!", 72),
    ("The answer is 5! = 120", 120),
    ("The answer is f(12) = 30", 30),
    ("The answer is x - 3 = 5", 5),
    ("**The answer is 120!**", 120),
    ("*The answer is 72!*", 72),
    ("The answer is **72!** (3 boxes of 24)", 72),
    ("The answer is 72! - great job", 72),
    ("The answer is -(3)", -3),
    ("The answer is 15 and not 20.", 15),
    ("The answer is 15 (instead of 20)", 15),
    ("The answer is 1'234.", 1234),
    ("The answer is 1\u2019234\u2019567.50 francs", Fraction("1234567.5")),
    ("The best answer is 5, not 6.", 5),
    ("The answer is 1/4 or 25%.", Fraction(1, 4)),
    ("The answer is 90 minutes or 1.5 hours", 90),
    ("The answer is 70 cents or $0.70.", 70),
    ("The answer is 7/3 or 2.33", Fraction(7, 3)),
    ("\\boxed{\\frac{-5}{2}}", Fraction(-5, 2)),
    ("\\boxed{\\frac{5}{-2}}", Fraction(-5, 2)),
    ("\\boxed{16_{10}}", 16),
    ("Answer: half of the cake", Fraction(1, 2)),
    ("Answer: a third", Fraction(1, 3)),
    ("\\boxed{7^{\\text{th}}}", 7),
    ("\\boxed{7 \\pmod{11}}", 7),
    ("Answer: <|begin_of_box|>25<|end_of_box|>", 25),
    ("<thinking>maybe the answer is 9</thinking>\n\nIt is 8.", 8),
]
SOLUTIONS = [
    ("A: There were 15 trees. Then there were 21. So 21 - 15 = 6.", 6),
    ("Answer: She sold 48/2 = 24 clips in May.\nShe sold 48+24 = 72 clips in all.", 72),
    ("Answer: 33 * 16 = 528\n3 * 10 = 30\n528 + 30 = 558", 558),
    ("Answer: She has 12 apples.\n\nThis is since 4 * 3 = 12, over 3 months.", 12),
    ("Answer:\n1. She has 5.\n2. She gets 7 more.\nSo she has 12.", 12),
    ("#### Step 1: 5\nShe has 5.\n#### 2. Add them\nSo she has 7 apples", 7),
]
AT_THE_END = [
    ("There are ten ways.", 10),
    ("So there are twelve apples.", 12),
    ("Therefore, there are forty-two of them.", 42),
    ("答案是七。", 7),
    ("答案:七", 7),
    ("答案是十二。", 12),
    ("答案是二十个。", 20),
    ("4\n\nConfidence: 95%", 4),
    ("Total is 40. I am 99% confident.", 40),
    ("So the share of the sick is 30%.", 30),
    ("So $\\binom{5}{2} = 10$.", 10),
    ("40 + 50 = 90 pages over 2 days", 90),
    ("The roots are 2 and 4. Since x > 3, x = 4.", 4),
    ("Since y = 3, x = 6.", 6),
    ("10 * 4 = 40\n\nTherefore, Tom pays 40 dollars for 10 items at $4 each.", 40),
    ("Therefore the maximum is 12 when n = 4.", 12),
    ("It cannot be solved by guessing, " + "and on, " * 400 + "and it is 12", 12),
    ("So the maximum value is 12, attained when n = 4.", 12),
    ("Hence the largest possible product is 36, when both numbers are 6.", 36),
    ("Thus the maximum profit is **$450** when 30 units are sold.", 450),
    ("So the minimum is -3 at x = 2.", -3),
    ("Therefore, the minimum value is 4, achieved at x = 2 and y = 2.", 4),
    ("The maximum height is 20 m at t = 2, and it lands at t = 4.", 4),
    ("The most he can spend is $20 for 4 tickets, so each ticket costs $5.", 5),
    ("The greatest common divisor of 12 and 18 is 6.", 6),
    ("The minimum is 3 when x = 2; so the range is 7.", 7),
    ("We add: 48 + 24 = 72.\n\nNatalia sold 72 clips in 2 months.", 72),
    ("60 / 12 = 5.\nShe pays 5 dollars to each of her 12 friends.", 5),
    ("10 - 3 = 7.\nSo 7 apples are left after 3 days.", 7),
    ("6 * 4 = 24.\nOf the 24 apples he ate 3.", 3),
    ("6 * 4 = 24.\nHe sells the 24 boxes for 60 dollars.", 60),
    ("6 * 4 = 24.\nWith 24 eggs he makes 8 cakes.", 8),
    ("6 * 4 = 24.\nHe has 24 of them and gives 5.", 5),
    ("Let x be the number. Then 2x + 3 = 15, so 2x = 12 and x = 6.", 6),
    ("The area of the garden is 5m².", 5),
    ("The volume is 30m^3", 30),
    ("She has **42** apples.\n\nCheck: 42 + 8 = 50 \u2713", 42),
    ("So x = 42.\n\nLet's verify: 42 + 8 = 50, which is correct.", 42),
    ("Check: 42 + 8 = 50 \u2713", 50),
    ("**So she has 42 apples.**\n\nWould you like 3 more examples?", 42),
    ("3 pages are wrong, so 7 are right.", 7),
    ("12x = 24, so x = 2", 2),
    ("x = 25, so she needs 25 minutes for 3 miles", 25),
    ("Not 24, but 25.", 25),
    ("We cannot determine x, but their sum is 7", 7),
    ("half", Fraction(1, 2)),
    ("Together the boys have 60 toys + 39 toys = 99 toys.", 99),
    ("By the end of the month, it earns $5400/week * 4 weeks = $21600", 21600),
    ("This means she already had 40 kg - 25 kg = 15kg of dog food.", 15),
    ("1 hour is 60 minutes so 60 minutes/hour / 2 minutes/mile = 30 miles/hour", 30),
    ("The system has no solution when k = 3.", 3),
    ("The equation has no real solutions, so the count is 0.", 0),
    ("The boys and girls are 12 and 15. Together they are 27.", 27),
    ("8\n\n(7 is wrong)", 8),
    ("x = 8\n(not 7)", 8),
    ("**8**\n\n*(a common mistake is 7)*", 8),
    ("**8**\n\nA common mistake is to answer 7.", 8),
    ("The total number of mistakes is 7", 7),
    ("In 14 minutes they could answer 7 questions.", 7),
    ("If you chose 3 from 7 there are 35 ways.", 35),
    ("Each page has some.\n\n(7 errors)", 7),
    ("Added up, x is\n(7, not 8)", 7),
    ("3 boxes\n(each has 2 errors)", 3),
    ("10 - 3 = 7\nShe answered 7 correctly.", 7),
    ("= 42", 42),
    ("=> 42", 42),
    ("42", 42),
    ("**42**", 42),
    ("$42.00", 42),
    ("| Total | 42 |", 42),
    ("So, Natalia sold 72 clips altogether.", 72),
    ("In 2 months she sold 48 + 24 = 72 clips", 72),
    ("Each takes 20 minutes. It takes 120/24 = 5 hours to read 120 pages.", 5),
    ("It is 6, not 5.", 6),
    ("The area is 12 cm²", 12),
    ("The area is 12 cm^2", 12),
    ("First 48, then 24. She sold 72 (see step 3).", 72),
    ("The sum is 72.\n\nStep 3: Done.", 72),
    ("So she sold **72!**", 72),
    ("After 3 fights he is at level 7.", 7),
    ("She skipped 2 years and is in grade 7.", 7),
    ("To answer this we note the price is $12. 3 cost $36.", 36),
    ("You might think the answer is 72. It is 70.", 70),
    ("The answer is 5. Wait, that's wrong. It is 7.", 7),
    ("The answer is 5. Oops, I made a mistake: 3 + 4 = 7.", 7),
    ("The answer is 72. Wait, let me verify: 70 + 2 = 72. Yes.", 72),
    ("The answer is 72. Hmm, wait. Yes.", 72),
    ("\\boxed{5}. The other root is -3, but that doesn't make sense for a length.", 5),
    ("The answer is 12. My mistake would have been to add twice.", 12),
    ("The answer is 12. Check: 12 * 2 = 24, which contradicts nothing.", 12),
    ("Twelve", 12),
    ("She gets 15 rather than 20", 15),
    ("She has 5 apples left. I hope that helps! Feel free to ask about problem 2.", 5),
    ("She has 5 apples left.\n\nNote: This is a grade 3 problem.", 5),
    ("12/3=4 times a year", 4),
    ("So the share is 16.666...%, which rounds up to 17%", 17),
]
ELSEWHERE = [
    ("答案是72。", 72),
    ("所以，娜塔莉亚一共卖了72个夹子。", 72),
    ("总共卖出 48+24=72个。", 72),
    ("她赚了10元，一共5万元。", 50_000),
    ("正确答案：72", 72),
    ("答えは72です。", 72),
    ("정답은 72입니다.", 72),
    ("उत्तर ७२ है।", 72),
    ("الجواب هو ٧٢", 72),
    ("Ответ: 72 скрепки. Их 24 и 48.", 72),
    ("Die Antwort ist 72, denn im Mai waren es 24.", 72),
    ("Die richtige Antwort lautet **72**. Im Mai waren es 24.", 72),
    ("La respuesta es 72. Comprobación: 48 + 24 = 72, y 24 es la mitad de 48.", 72),
    ("La réponse est **72**. En mai, 24.", 72),
    ("A resposta é 72.\n\nEm maio foram 24.", 72),
    ("La risposta è 72 mollette. A maggio 24.", 72),
    ("La respuesta no es 71. La respuesta es 72.", 72),
    ("Die Antwort ist 72. Moment, das ist falsch: 73.", 73),
    ("Das Ergebnis ist 7. Dann ziehen wir 2 ab. Sie hat also 5 Äpfel.", 5),
    ("El resultado es 7. Luego restamos 2. Ana tiene 5 manzanas.", 5),
    ("Le résultat est obtenu en additionnant 3 et 4. Donc elle a 7 pommes", 7),
    ("Das Endergebnis ist 72. Im Mai waren es 24.", 72),
    ("El resultado final es 72. En mayo, 24.", 72),
    ("答案是否正确：5-3=2。所以答案是2。", 2),
    ("检查答案是否正确：答案是5。不是3。", 5),
    ("Die Antwort ist 72. Im Mai nur 20? Nein, das ist falsch.", 72),
    ("Die Antwort ist 72. Das ist falsch.", None),
    ("La respuesta no es 72.", None),
    ("答案是72，不是24。", 72),
    ("I have no doubt that the answer is 6.", 6),
    ("The most common answer is 5, but it's wrong. The answer is 6.", 6),
    ("Die Antwort ist nicht 72.", None),
    ("Wenn die Antwort 72 ist, dann ja. Wenn die Antwort ist 72", None),
    ("如果答案是72", None),
    ("答案不是72", None),
    ("答案是7或2", None),
    ("答えは72ではない", None),
    ("정답은 72가 아니다", None),
    ("答案是超过72", None),
    ("答案是72多个", None),
    ("答案是3分之1", None),
    ("Die Antwort ist 7 oder 2", None),
]
NOT_A_NUMBER = [
    "1.234,50", "1,2", "1,23,456", "0,500", "1, 2", "1 234 567", "3:30", "12/25/2020", "2020-01-01", "48/2", "2^{10}",
    "2x", "2\\pi", "\\sqrt{16}", "√16", "0.\\overline{3}", "\\alpha 5", "1e999999999", "7" * 301, "7" * 5000, "5m3", "1_000", "7\u03362",
    "2.333...", "0.1666\u2026", "5! * 3", "5!/3!", "$5! \\times 2$", "3 halves", "12ish", "two-fold", "1'23", "1'234,567", "5'10", "5!·2", "$5!$", "\\boxed{5!}",
    "\u202e27", "two three", "twenty third", "5 M", "1/0", "1/2/3", "9\\cancel{5}", "\\phantom{7}5", "3(98)", "(72)(10)",
]  # fmt: skip
SEVERAL = [
    "5 unless it rains, then 6", "5 in the first case, 6 in the second",
    "5 when n=4 and 20 when n=6", "5 for n = 4, 20 for n = 6", "5 boxes with n = 4 are 20",
    "5 or 6", "either 5 or 6", "5 to 6", "5-6", "5\u20136", "5 and 6", "5, 6", "5; 6", "5 | 6", "[5, 6]", "(5, 6)", "{5, 6}", "5 6", "5 ± 1",
    "between 5 and 6", "probably 5, possibly 6", "5, no wait, 6", "5 if it rains, otherwise 6", "5 feet 6 inches", "2 dollars and 50 cents",
    "5 apples and 3 pears", "x = 5 or x = 6", "x = 5, y = 6", "x = 5 and y = 6", "5. Or 6.", "5. Alternatively, 6.",
    "5 km or 5 miles", "2.46 or 2.5", "0.25 or 25", "1/4 or 0.25 or 3", "$x_1 = 5$ and $x_2 = 6$", "x\u2081 = 5, x\u2082 = 6", "\\boxed{5} \\text{ or } \\boxed{6}",
    "\\boxed{5} \\quad \\boxed{6}", "\\boxed{5} oder \\boxed{6}", "5. It could also be 6.", "5, but 6 also works", "<span>5</span>6", "$5$2$",
]  # fmt: skip
UNFINISHED = [
    "3 × 4", "3 * 4", "3 times 4", "10 - 2", "10 -2", "5 plus 3", "5 plus tax", "half of 50", "twice 5", "50% of 40", "1/2 of 40", "5 squared", "5 + x",
    "5 less than 7", "5 fewer than 7", "the sum of 5 and 3", "the square root of 16", "the factorial of 5", "more than 5", "just under 5",
    "log 5", "sin(5)", "f(5)", "x/5", "\\frac{\\pi}{5}", "\\frac{x}{5}", "x + 5", "π - 5", "5 to the power 3", "the 5th root of 7", "5 times x",
    "5 more than y", "exceeding 5", "shown in Figure 5", "given by equation (5)", "in question 5", "> 5", "\\le 5", "5+", "5 or more",
    "5 pi", "5 times pi", "log2(5)", "log_2 5", "log\u2082 5", "\u230a5.5\u230b", "\u23085.5\u2309", "5\u2264x", "5 if not more",
    "far from 5", "hardly 5", "closer to 5 than to 6", "5, plus 2 more for Ann", "given in line 5", "shown in step 5", "5!.",
    "5 or higher", "5 or greater", "5 and up", "5 upwards", "5 and below", "5 factorial", "5 hundredths", "anything but 5", "other than 5", "not 5", "certainly not 5",
]  # fmt: skip
NO_ANSWER = [
    "There are two cases to consider.", "There are ten ways or eleven.", "There are no ways.", "There are ten red ones. Some are blue.",
    "答案是七或八。",
    "So there are $\\binom{5}{2}$ ways.", "The answer is $\\binom{5}{2}$.", "\\boxed{\\binom{n}{2}}", "So it is $\\binom{5}{2} \\cdot 3$.",
    "The answer is 90 over 2.",
    "The value of x is 7, and y is 3.", "So 2x = 12 and y = 6.", "The answer is undefined, since we would divide by 0.",
    "If n is even, the answer is 7. If n is odd, the answer is 8.", "If n is even, the answer is 7; otherwise, the answer is 8.",
    "No solution; x = 12 is extraneous.", "x = 12 (extraneous)", "Answer: none (12 is not valid)",
    "I don't think the answer is 5.", "I don't believe that the answer is 5.", "It isn't true that the answer is 5.",
    "You claim that the answer is 5.", "According to the user, the answer is 5.", "I wouldn't say that the answer is 5.",
    "The answer is 5. But that can't be, since there are only 3.", "The answer is 5. That's wrong because 2 + 2 = 4.",
    "The answer is 4x^2.", "The answer is 5m^5.",
    "8\n\n7 would be wrong.",
    "8\n\nSome might say 7.",
    "The smallest is 3 with the largest being 9.", "He sold 72 clips at first.\nHe sold 72 clips in 2.",
    "8\n\nIf you got 7, you forgot to carry.",
    "7 is not the answer; 8 is.",
    "The roots are 5 and 6.", "So x_1 = 5, x_2 = 6", "With 5 red and 6 blue ones there is not enough information to answer.",
    "There are 5 red and 6 blue ones. It cannot be solved.", "We have 5 and 6. So the answer cannot be determined.", "x = 5 has no solution.",
    "5/0: the answer is undefined.", "So x = 42.\n\nCheck: 42 + 8 = 50, which is not correct.", "It is impossible to tell whether it is 5.", "I'm not sure, but I think the answer is 5.", "5 r1",
    "\\boxed{101_{2}}", "", "   \n ", "I don't know.", "She has twelve.", "The answer isn't 5.", "The answer cannot be 5.", "Could it be 5?",
    "I don't know. 5? 6? 7?", "5, 6, 7", "It is 5 or 6", "<think>The answer is 5", "<think>So 5</think>", "If the answer is 5 then she wins.",
    "The wrong answer is 5.", "You might think the answer is 5.", "Let me check whether the answer is 5", "The answer is 5?",
    "<!-- The answer is 5 -->", "The answer is 5. That's wrong.", "So $x=\\boxed{3}$ or $x = \\boxed{4}$", "\\boxed{3}, \\boxed{4}", "\\boxed{}",
    "1 or 2 or 3", "So it is not 5", "So it is more than 5", "So it is half of 50", "It takes 20 hours and 20 minutes", "He comes at 10:30",
    "So it is 80% of 40", "The answer is 5. That doesn't match.", "The answer is 5. That does not make sense.",
    "The answer is 5. But this contradicts the text.", "The answer is 5, but that can't be right.",
    "The answer is 5 apples, which doesn't fit.", "\\boxed{5}\n\nHmm, that doesn't add up.", "The answer is 5. That can't be right.", "The answer is 5. My mistake.",
    "The answer could be 5.", "The answer may also be 5", "It lies between 5 and 6", "<thinking>The answer is 5",
    "<thinking>The answer is 5</thinking> I give up.", "$x = \\boxed{3}$, $y = \\boxed{4}$", "x = \\boxed{3}; y = \\boxed{4}",
    "The answer is 5.\nNo, the answer is not 5.", "The answer is 20 hours and 20 minutes", "The answer is 30:30",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [*MARKERS, *RESTATED, *CLAUSES, *SOLUTIONS, *AT_THE_END, *ELSEWHERE], ids=ids)
def test_the_final_number_is_what_a_person_reads(text: str, expected: Fraction | int | None) -> None:
    """The number that a person takes for the final answer is found."""
    assert number(text) == expected


@pytest.mark.parametrize("written", [*NOT_A_NUMBER, *SEVERAL, *UNFINISHED], ids=ids)
@pytest.mark.parametrize("frame", ["The answer is {}.", "First 48, then 24. So the final answer is {}"])
def test_what_two_people_would_read_differently_is_no_answer(frame: str, written: str) -> None:
    """Ambiguous numbers, alternatives and unfinished calculations are refused, not guessed."""
    assert isinstance(find_number(frame.format(written)), NoAnswer)


@pytest.mark.parametrize("text", NO_ANSWER, ids=ids)
def test_a_response_without_an_answer_has_none(text: str) -> None:
    """Questions, suppositions, negations, lists and unfinished thoughts give no number."""
    assert isinstance(find_number(text), NoAnswer)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("The answer is 5.", "after 'The answer is'"),
        ("**Answer:** 5", "after 'Answer'"),
        ("\\boxed{5}", "in \\boxed{}"),
        ("#### 5", "after '####'"),
        ("<answer>5</answer>", "after '<answer>'"),
        ("5 apples", "the whole response"),
        ("First 3, then 2.\nSo 5.", "at the end"),
        ("The answer is 5. Wait, it is 6.", "at the end, after 'Wait'"),
    ],
)
def test_an_answer_says_where_it_was_found(text: str, how: str) -> None:
    """The verdict's reason can name the place."""
    found = find_number(text)
    assert isinstance(found, Answer)
    assert found.how == how


@pytest.mark.parametrize(
    ("text", "at_end"),
    [
        ("The answer is 7", True),
        ("The answer is 7.", True),
        ("The answer is 7 apples", False),
        ("\\boxed{7}", False),
        ("3 + 4 = 7", True),
        ("She has 7 now", False),
        ("Thus 3.\n\n#### 7", True),
    ],
)
def test_an_answer_at_the_very_end_is_known(text: str, at_end: bool) -> None:
    """A response that was cut off there may have meant a longer number."""
    found = find_number(text)
    assert isinstance(found, Answer)
    assert found.at_end is at_end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        (" $12.00 ", 12),
        ("12 apples.", 12),
        ("x = 12", 12),
        ("The answer is 12", None),
        ("So 3 + 9 = 12", 12),
        ("12. Yes.", None),
        ("", None),
    ],
    ids=ids,
)
def test_a_whole_response_may_have_to_be_the_number(text: str, expected: int | None) -> None:
    """With `extract: whole` nothing may stand around the number."""
    found = whole_number(text)
    assert (found.value if isinstance(found, Answer) else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris", ["Paris"]),
        ("The answer is Paris. It lies on the Seine.", ["Paris", "Paris. It lies on the Seine."]),
        ("The answer is St. Louis.", ["St. Louis", "St. Louis."]),
        ("Answer:\n\nParis\n\nIt is large.", ["Paris", "Paris\n\nIt is large."]),
        ("The answer is not guilty.", ["not guilty", "not guilty."]),
        ("\\boxed{\\text{Paris}}", ["\\text{Paris}"]),
        ("It is old.\n#### Paris", ["Paris"]),
        ("#### History\nParis is old.", ["#### History\nParis is old."]),
        ("The answer is Paris. Wait, London.", None),
        ("答えは東京です。", ["東京です", "東京です。", "東京"]),
        ("The answer is Dec. 5, 2024. It was cold.", ["Dec. 5, 2024", "Dec. 5, 2024. It was cold."]),
        ("La respuesta es no.", ["no."]),
        ("La réponse est non.", ["non", "non."]),
        ("La respuesta no es París.", None),
    ],
    ids=ids,
)
def test_a_text_is_what_follows_the_last_marker(text: str, expected: list[str] | None) -> None:
    """A text may be meant by its sentence, its line or all that follows."""
    found = find_texts(text)
    assert (None if isinstance(found, NoAnswer) else [answer.text for answer in found]) == expected


PIECES = [*"0123456789.,:;/-+=x×*^()[]{}$%\\ \n_#<>?aA½²", "answer ", "is ", "\\boxed{", "or ", "\\frac", "not ", "####", "one "]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_nothing_that_is_written_raises(text: str) -> None:
    """Any text gives an answer or none, and only a short one."""
    for found in (find_number(text), find_choice(text, "ABCDE"), whole_number(text)):
        assert isinstance(found, Answer | NoAnswer)
    find_texts(text)


BOMBS = {
    "1,1,1": "1," * (MEGABYTE // 2), "((((": "(" * MEGABYTE, "digits": "7" * MEGABYTE, "announced digits": "The answer is " + "7" * MEGABYTE,
    "unclosed boxes": "\\boxed{" * (MEGABYTE // 7), "deep box": "\\boxed" + "{" * MEGABYTE, "markers": "the answer is " * (MEGABYTE // 14),
    "headings": "Answer: " * (MEGABYTE // 8), "hashes": "#" * MEGABYTE, "spaces": "the answer" + " " * MEGABYTE, "newlines": "\n" * MEGABYTE,
    "fractions": "The answer is " + "\\frac{1" * (MEGABYTE // 7), "one": "one " * (MEGABYTE // 4), "sum": "The answer is " + "1+1" * (MEGABYTE // 3),
    "exponents": "1e999999999 " * (MEGABYTE // 12), "comments": "<!--" * (MEGABYTE // 4), "thoughts": "<think>" * (MEGABYTE // 7),
    "tags": "<answer>" * (MEGABYTE // 8), "NUL": "\0" * MEGABYTE, "surrogates": "\ud800" * MEGABYTE, "stars": "*" * MEGABYTE,
    "choices": "\nB. Wait" * (MEGABYTE // 8), "checks": "\nCheck: 1, 2 " * (MEGABYTE // 10) + "\u2713", "unknowns": "it cannot be found " * (MEGABYTE // 19) + "1 2",
    "bounds": "at least " * (MEGABYTE // 9) + "1, 2", "ors": "1 or 2 or " * (MEGABYTE // 10), "boxes": "\\boxed{1} or " * (MEGABYTE // 13) + "\\boxed{2}",
    "backslashes": "\\" * MEGABYTE, "sentences": "a. " * (MEGABYTE // 3), "ligatures": "\ufdfa" * (MEGABYTE // 3), "waits": "Wait, " * (MEGABYTE // 6),
}  # fmt: skip


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_hostile_megabyte_takes_no_time_and_answers_nothing(text: str) -> None:
    """No pattern runs wild on a megabyte of anything."""
    began = time.process_time()
    assert isinstance(find_number(text), NoAnswer)
    find_choice(text, "ABCDE")
    find_texts(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "7 is not the answer.",
        "7 is too small.",
        "7%  of 8",
        "x + 7",
        "7 (base 9)",
        "The answer is 7 in base 8.",
        "one of 7",
        "Is 7 the answer? I doubt it.",
        "It's not clear that the answer is 7.",
        "Had it rained, the answer would be 7.",
        "7 (for x > 0), 8 (for x < 0)",
        "7 when odd, 8 when even",
        "<s>7</s>",
        "I don't think it's 7.",
        "Vielleicht 7",
        "Peut-être 7",
        "Quizás 7",
        "Ich glaube nicht, dass es 7 ist.",
        "可能是7",
        "多分7",
        "It's impossible for the answer to be 7.",
        "I think it's not possible for the answer to be 7",
        "7 in binary",
        "7 (hexadecimal)",
        "Cevap 7 veya 8",
        "Cevap 8 ya da 7.",
        "The answer is 7. Hmm, let me double-check: 5 + 3 = 8. So 8.",
        "The answer is 7.\n\nThus, it's 8.",
        "If x = 3, then the answer is 7. If x = 4, then it is 8.",
        "When n is even, the answer is 7. Otherwise it's 8",
        "```python\nif x > 0:\n    return 7\n```",
    ],
)
def test_a_number_that_nobody_stands_by_is_no_answer(text: str) -> None:
    """It is denied, supposed, asked, struck out, guessed, one of several cases or of another base."""
    assert isinstance(find_number(text), NoAnswer)


@pytest.mark.parametrize(
    "text",
    [
        "<del>5</del> 7",
        "7 in base 10",
        "7 (base case included)",
        "7 (seven)",
        "7 (for all x)",
        "She has 7. Does that help?",
        "You can't guess it. 7.",
        "She has 7.\n\nNote: this assumes 365 days in a year.",
        "So she has 7.\nConfidence: 95",
        "She has 7.\n**Confidence level:** 0.9",
        "She has 7 apples.[1]",
        "She has 7 apples[1].\n\nNote that 12 are a dozen.",
        "Note: 7",
        "Die Antwort lautet 7 und nicht 8.",
        "The answer is 7 instead of the 8 that one might expect.",
        "The answer is 7. As a share, 7/1. So 7.0.",
        "The answer is 7.0. So 21/3.",
        "The answer is 7. Double-checking: 3 + 4 = 7. So 7.",
        "If x = 3, then the answer is 7. If that is unclear, ask.",
        "If he has 3, the answer is 7. If x = 3, it is 7.",
        "```\n7\n```",
        "7 in the binary tree",
    ],
)
def test_a_number_that_its_writer_stands_by_is_one(text: str) -> None:
    """However near the words are to those of a doubt."""
    assert number(text) == 7
