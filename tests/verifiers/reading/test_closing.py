"""Which number of a last sentence is the answer, where nothing announces it: what is given there is none."""

from __future__ import annotations

import time

import pytest

from tests.verifiers.reading.test_answers import ids, number

TOLD = [
    ("She has 7 apples left after giving 3 to Bob.", 7),
    ("Her average speed is 60 mph over the 3-hour trip.", 60),
    ("She pays a total of $45, including $5 for shipping.", 45),
    ("She pays $45 in total, with $40 for shirts and $5 for shipping.", 45),
    ("The boys have 12 marbles altogether, 3 more than the girls.", 12),
    ("It will take her 7 days to finish the 210-page book.", 7),
    ("They need 4 vans to carry all 17 people.", 4),
    ("So each friend gets 3 cookies, with 1 left over.", 3),
    ("So each child receives 7 candies, and all 35 candies are used.", 7),
    ("He is 45 miles from home at the end of the 4 hours.", 45),
    ("The minimum number of coins is 6: 3 quarters, 2 dimes, and 1 nickel.", 6),
    ("He sold 10 of his 17 cars.", 10),
    ("21 / 3 = 7\n\nShe can buy 7 apples with $21.", 7),
    ("210 / 30 = 7\n\nIt will take her 7 days to read 210 pages at 30 pages per day.", 7),
    ("So she has 10 - 3 = 7 apples after giving 3 to Bob.", 7),
    ("110 / 40 = 2.75\n\nHe needs 3 buses for 110 people.", 3),
    ("20 - 12 = 8\nHe spent 12 dollars on books and kept 8.", 8),
    ("She has **7** apples, by selling 3.\n7", 7),
    ("They need **4 vans** to carry all 17 people.", 4),
]
LAST = [
    ("After 5 weeks, she will have 50 dollars.", 50),
    ("If 3 apples cost $6, then 5 apples cost $10.", 10),
    ("She spends $3 on each of the 4 shirts, for a total of $12.", 12),
    ("There are 4 boxes with 6 each, which makes 24.", 24),
    ("Tom is 5 years older than Ann, making him 17.", 17),
    ("He needs 4 more than the 8 he has, 12 in total.", 12),
    ("Adding 20 to 4 gives us 24 pens.", 24),
    ("Subtracting 3 from 10 leaves her with 7 apples.", 7),
    ("Each of 5 friends pays 7 dollars.", 7),
    ("Half of 14 is 7.", 7),
    ("She reads 20 pages on Monday and 30 on Tuesday, a total of 50.", 50),
    ("Her 3 brothers have 12 toys.", 12),
    ("So 20% of 50 is 10.", 10),
    ("With a speed of 60 mph and a distance of 180 miles, it takes 3 hours.", 3),
    ("Since each box holds 6 and there are 4 boxes, the total is 24.", 24),
    ("Therefore, in 3 years Tom will be 15.", 15),
    ("Selling 3 boxes at 4 dollars earns her 12 dollars.", 12),
    ("The 4 shirts at $5 each cost $20 together.", 20),
    ("She gave 3 to Bob and 4 to Ann, keeping 7 for herself.", 7),
    ("He spent $12 on books, leaving him with $8.", 8),
    ("He spent $12 on books and has $8 left.", 8),
    ("The first 3 hours cost 5 dollars, the rest 7, in total 12.", 12),
    ("She had 20 and gave 8 away, so 12 are left.", 12),
    ("The cost of buying 15 brown socks is $3.", 3),
    ("The milk costs $6, bringing the total to $20.", 20),
    ("If the snow on day 2 was 10 inches, then the depth on day 1 was 20 inches.", 20),
    ("Therefore, the total amount she earns after 3 days is $195.", 195),
    ("The number of words that he can type in 7 days is 84000 words.", 84_000),
    ("3 * 9 + 2 = 29\nShe needs 29 flowers per each of the 10 tables for a total of 290 flowers.", 290),
    ("Working 50 minutes, she earned $10.", 10),
    ("The number of days that it takes to make 360 drums, 6 a day, is 60 days.", 60),
    ("The temperature rose from 5 to 12 degrees, a change of 7 degrees.", 7),
    ("100 × 0.85 = 85\n\nThe $100 shirt costs $85, so she saves $15.", 15),
    ("48 / 2 = 24\n\nShe sold 48 clips in April and 24 in May, so she sold 72.", 72),
    ("15 / 20 = 75%\n\nHe made 15 shots, which is 75% of them.", 75),
    ("35 / 5 = 7\n\nEach child gets 7 candies, which leaves 2 candies.", 7),
    ("总共有3个盒子，所以一共12个。", 12),
]
UNCLEAR = [
    "She can buy 7 apples with $21.",
    "She pays $45, including $5 for shipping.",
    "Tom is 12 years old and his sister is 6 years old.",
    "Thus, Tom is 12 years old now, and his sister is 6.",
    "Tom = 12, Ann = 6",
    "12 + 6 = 18\n\nTom is 18 years old, which is 3 times her age (6).",
    "3 + 4 = 7\nHe spends 7 dollars on lunch and after 5 days he spends 35 dollars.",
    "He watched a total of 32 hours + 64 hours with 96 others.",
    "There are 7 red balls out of 12.",
    "There are 36 students in the class, of which 20 are girls.",
    "Tom has 7 more marbles than Ann, who has 5.",
    "It will take him 7 hours to travel 420 miles.",
    "2 + 2 = 4\n\nShe can buy 7 apples with $21.",
    "110 / 40 = 2.75\n\nHe needs 3 buses and 110 seats.",
    "110 / 40 = 2.75\n\nHe needs 4 buses for 110 people.",
    "He paid $45, a difference of $5.",
    "She saved $15, which is 25% of the price.",
    "100 × 0.85 = 85\n\nShe pays $85, so she saves $15.",
    "The smallest is 3 with the largest being 9.",
]
ABOVE = [
    ("**12**\n\nExplanation: There are 3 boxes with 4 apples each.", 12),
    ("12\n\nExplanation: There are 3 boxes with 4 apples each.", 12),
    ("**12**\n\nThere are 3 boxes with 4 apples each.", 12),
    ("**$45**\n\nHere's how:\n- 2 shirts × $20 = $40\n- Shipping: $5", 45),
    ("$45\n\n2 shirts × $20 = $40, plus $5 shipping.", 45),
    ("She needs **$45**.\n\n- 2 shirts × $20 = $40\n- Shipping: $5", 45),
    ("She needs $45:\n\n- 2 shirts × $20 = $40\n- Shipping: $5\n- Total: $45", 45),
    ("Tom is **12** years old.\n\nVerification: in 3 years, Tom will be 15 and his sister 9.", 12),
    ("2 * 6 = 12\n\nTom is **12** years old.\n\n**Check:**\n15 = 12 + 3, and his sister is 9.", 12),
    ("She has **7** apples left.\n\nThis assumes all 3 boxes were full.", 7),
    ("It takes 13 years.\n\n(After 12 years he breaks even.)", 13),
    ("The total is **$45**.\n\n(20 × 2 = 40, plus 5 for shipping.)", 45),
    ("So she has **3** apples.\n\n*Note: if she had eaten 1, the answer would be 4.*", 3),
    # A first step is no answer.
    ("She has **5** apples.\n\nShe gets 7 more. So she has 12.", 12),
    ("There are **3** steps:\n\n- add 5\n- total: 12", 12),
    ("5 apples\n\nShe buys 7 more.\n\nNow she has 12 apples.", 12),
    ("There are **3** boxes.\n\nWorking together, they fill 7 in all.", 7),
    ("There are **3** boxes.\n\nExplanation: 5 + 4 = 9\n\nSo 9.", 9),
    ("The total is 5 + 7.\n\n(so the answer we want is 12)", 12),
]
ABOVE_ANOTHER = [
    "12\n\nExplanation: She has 5 and gets 8 more. So the total is 13.",
    "**12**\n\nExplanation: 5 + 8 = 13",
    "**12**\n\nCheck: 5 + 8 = 13 ≠ 12.",
    "I don't have enough information. If there were 3 boxes, the answer would be 12.",
]


@pytest.mark.parametrize(("text", "expected"), TOLD + LAST + ABOVE, ids=ids)
def test_the_number_that_a_text_tells_is_its_answer(text: str, expected: int) -> None:
    """And not one that the question gave, or that explains it."""
    assert number(text) == expected


@pytest.mark.parametrize("text", UNCLEAR + ABOVE_ANOTHER, ids=ids)
def test_where_nothing_says_which_number_it_is_there_is_none(text: str) -> None:
    """A lucky guess must not become a lesson."""
    assert number(text) is None


@pytest.mark.parametrize(
    "unit", ["**1** a\n\nCheck: 2\n\n", "1\n\n", "**1**\n\n- 2 = 3\n\n", "a 1 the ", "\n\n(a b 1 ", "7 and "]
)
def test_many_paragraphs_take_no_time(unit: str) -> None:
    """However many of them may be an answer."""
    began = time.process_time()
    number("a.\n\n" + unit * (200_000 // len(unit)) + "= 5")
    assert time.process_time() - began < 2
