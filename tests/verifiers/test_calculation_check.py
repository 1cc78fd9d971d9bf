"""Which equations are computed again, and which are left alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.fakes import make_prompt, make_sample
from verifiers.calculation_check import MAX_CHARS, CalculationCheck
from verifiers.calculations.claims import claims
from verifiers.protocol import Finding


def check(response: str, thought: str | None = None, *, prompt: str = "How many?", **options: Any) -> Finding:
    """Check one response."""
    made = TypeAdapter(CalculationCheck).validate_python(options)
    return made.check(make_prompt(prompt), make_sample(response=response, reasoning=thought))


TRUE = [
    "3 shirts at $20 each is $60.",
    "She bought 3 shirts at $20 = $60 and 2 hats at $5 = $10.",
    "90 crocus bulbs at $.50 = $45.00",
    "560 // 10 = 56",
    "17//5 = 3",
    "$280k purchase price - $40k deposit = $240k",
    "$280k - $40k = $240,000",
    "$1.5M + $500k = $2M",
    "$999,600 + $600 = $1M",
    "9:00-6:00 = 3 hours",
    "9:00 - 5:00 = 8 hours",
    "9:00 AM - 5:00 PM = 8 hours",
    "9 AM to 5 PM = 8 hours",
    "11:30 PM - 1:00 AM = 1.5 hours",
    "From 9:00 to 10:40 = 100 minutes",
    "From 9:00 to 10:40 ≈ 1.7 hours",
    "2 pairs + 3 pairs = 10 socks",
    "1 pair of skates + 1 pair of boots = 2 pairs",
    "$3 per dozen * 24 eggs = $6",
    "$3/dozen * 5 dozen = $15",
    "40 people * 2 pairs of skates = 160 skates",
    "40 people * 2 pairs of skates = 80 pairs",
    "4 pairs of trousers + 3 pairs of shoes = 10 things to count",
    "2 dozen + 6 = 30",
    "5 dozen / 2 = 2.5 dozen",
    "5 chips + 5 more = 10",
    "√16 = 4",
    "√16 + 2 = 6",
    "√2 ≈ 1.414",
    "\\sqrt{3^2 + 4^2} = \\sqrt{25} = 5",
    "√50 = 5√2",
    "2√3 × √3 = 6",
    "(√5 + 1)/2 \\approx 1.618",
    "sqrt(0.25) = 0.5",
    "5! = 120",
    "3! + 2! = 8",
    "\\frac{10!}{7! \\cdot 3!} = 120",
    "There are \\binom{5}{2} = 10 pairs.",
    "C(10, 3) = 120 ways to choose them",
    "12 choose 2 = 66",
    "17 mod 5 = 2",
    "17 \\bmod 5 = 2",
    "1.5 hours = 90 minutes = 5400 seconds",
    "100 minutes = 1.67 hours",
    "$3{,}000 + 4{,}000 = 7{,}000$",
    "3 + 4 = 7 \u2705",
    "16 - 3 = 13",
    "90 + 30 = 120 = 2 hours",
    "1/2 + 1/4 = 0.75 = 75%",
    "3 × 4 = 12",
    "3 x 4 = 12, and 12x7=84.",
    "$2.50 * 4 = $10",
    "20% of 50 = 10",
    "20 percent of 50 is 10",
    "1/4 of 20 is 5",
    "100 - 20 = 80%",
    "40% + 25% = 65%",
    "50 + 10% = 55",
    "7/8 = 87.5%",
    "1,234 + 1 = 1,235",
    "1,00,000 × 2 = 2,00,000",
    "16 eggs - 3 eggs = 13 eggs",
    "3 boxes × 12 pens/box = 36 pens",
    "He pays $12/hour * 3 hours = $36.",
    "10 / 3 = 3.33",
    "2/3 = 0.66",
    "2/3 = 0.67",
    "1/3 = 33%",
    "10 / 3 ≈ 3",
    "10 / 3 is about 3.3",
    "987 + 1 is approximately 1,000",
    "2^10 = 1024",
    "2**3 = 8",
    "5² + 1 = 26",
    "(2 + 3) * 4 = 20",
    "3(4 + 1) = 15",
    "2 * (3 + (4 - 1)) = 12",
    "1 1/2 + 2 = 3.5",
    "½ + ¼ = 0.75",
    "−3 + 5 = 2",
    "5 + -3 = 2",
    "\\(5 \\times 3 = 15\\)",
    "$\\frac{3}{4} \\times 8 = 6$",
    "\\[ \\frac{12 + 4}{2} = \\boxed{8} \\]",
    "$24 \\div 6 = \\boxed{4}$",
    "\\frac{1}{2} + \\frac{1}{3} = \\frac{5}{6}",
    "**5 + 3 = 8**",
    "- 5 + 3 = 8",
    "2. 5 + 3 = 8",
    "3 plus 4 equals 7",
    "12 divided by 4 is 3",
    "5 multiplied by 3 is equal to 15",
    "2 * 6 = 3 * 4 = 12",
    "So 5 * 3 = 15 and 4 + 2 = 6.",
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.",
    "x = 5 * 3 = 15",
    "Total: (5 * 3 = 15)",
    "0.1 + 0.2 = 0.30000000000000004",
    "6 cm² + 4 cm² = 10 cm²",
    "2 cm × 3 cm = 6 cm²",
    "3 ft^2 + 2 ft^2 = 5 ft^2",
    "A box has 5 in^3 * 2 = 10 in^3.",
    "\\begin{align*} 5 \\times 3 &= 15 \\end{align*}",
    "| boxes | 5 + 3 = 8 | apples |",
    "60 packs * 7 cards per pack = 420 cards",
    "4km/hr*4hrs = 16km",
    "E = 2 * 9.8 * 5 = 98 J",
    "v = 9.8 * 3 = 29.4 m/s",
    "5 kg * 9.8 m/s^2 = 49 N",
    "200g + 100g = 300g of flour",
    "9.11 × (2.30 × 10^{-17}) = 2.10 × 10^{-16}",
    "4 rounds* 4 points/round = 16 points",
    "It costs $1 + $3 = $4 to make each bracelet.",
    "6 - 2 = 4th floor",
    "32 / 2 = $16 million",
    "2/3 * 100 = 66.7%",
    "There are (2 + 2) = 4 apples.",
    "(5 + 3) = 8",
    "100% - 30% = 70%",
    "19 × 21 ≈ 20 × 20 = 400",
    "8 = 3 + 5",
    "20% of 50 + 5 = 15",
    "$49.99 + 8% = $53.99",
    "So n = 12 = 2 × 2 × 3.",
    "Check: 0.67 = 2/3.",
    "### 3 + 4 = 7",
    "> 3 + 4 = 7",
    "3 + 4 gives us 7",
    "3 + 4 comes to 7",
]


@pytest.mark.parametrize("text", TRUE)
@pytest.mark.parametrize("where", ["response", "reasoning"])
def test_what_is_true_passes(text: str, where: str) -> None:
    """Computed as a person reads it."""
    found = check(text) if where == "response" else check("So be it.", text)
    assert found.passed is True, found
    assert found.reason.startswith(("1 equation is true", "2 equations are true"))


FALSE = {
    "3 shirts at $20 each is $61.": "3 shirts at $20 each is $61, but it is 60",
    "90 crocus bulbs at $.50 = $46.00": "90 crocus bulbs at $.50 = $46.00, but it is 45",
    "They will last him 560//10 = 57 nights": "560//10 = 57, but it is 56",
    "$280k purchase price - $40k deposit = $241k": "$280k purchase price - $40k deposit = $241k, but it is 240000",
    "$240k mortgage balance / 10 years = $25k per year": "$240k mortgage balance / 10 years = $25k, but it is 24000",
    "The journey takes 9:00-6:00 = 4 hours.": "9:00-6:00 = 4 hours, but it is 3",
    "She works 9:00 AM - 5:00 PM = 9 hours": "9:00 AM - 5:00 PM = 9 hours, but it is 8",
    "10:30 - 9:00 = 80 minutes. 4 hours are left.": "10:30 - 9:00 = 80 minutes, but it is 90",
    "1 pair of skates + 1 pair of boots = 3 pairs": "1 pair of skates + 1 pair of boots = 3, but it is 2",
    "If there are 400 possible spots - 214 open spots = 187 full spots.": "400 possible spots - 214 open spots = 187, but it is 186",
    "40 people * 2 pairs of skates = 81 pairs": "40 people × 2 pairs of skates = 81, but it is 80",
    "The number of eggs is 6 dozen * 12 eggs/dozen = 73 eggs": "6 dozen × 12 eggs/dozen = 73, but it is 72",
    "$3 per dozen * 5 dozen = $16": "$3 per dozen × 5 dozen = $16, but it is 15",
    "3 dozen cookies - 2 dozen = 2 dozen left": "3 dozen cookies - 2 dozen = 2, but it is 1",
    "5 chips + 5 more = 11 chips": "5 chips + 5 more = 11, but it is 10",
    "It takes another 7 - 5 = 3 years": "7 - 5 = 3, but it is 2",
    "He can store 2400 / 200 = 13 200-page books": "2400 / 200 = 13, but it is 12",
    "because20 - 3 = 18": "20 - 3 = 18, but it is 17",
    "Then 3/5 of the points earns 3/5 * 150 points = 91 points": "3/5 × 150 points = 91, but it is 90",
    "260 gallons divided by 20 gallons a second, or 260/20 = 14 seconds": "260/20 = 14, but it is 13",
    "With 2/5 times more, they grow by 2/5*60 = 25": "2/5×60 = 25, but it is 24",
    "3 - 5 = 4": "3 - 5 = 4, but it is -2",
    "3-5 = -3": "3-5 = -3, but it is -2",
    "√16 = 8": "√16 = 8, but it is 4",
    "\\sqrt{9 + 16} = 7": "√{9 + 16} = 7, but it is 5",
    "√2 = 1.5": "√2 = 1.5, but it is 1.414",
    "5! = 100": "5! = 100, but it is 120",
    "\\binom{5}{2} + 1 = 12": "(5 choose 2) + 1 = 12, but it is 11",
    "1.5 hours = 80 minutes": "1.5 hours = 80 minutes, but it is 90",
    "\\begin{aligned} 3 + 4 &= 7 \\\\ 7 \\times 2 &= 15 \\end{aligned}": "7 × 2 &= 15, but it is 14",
    "$\\frac{5}{-2} = 2.5$": "(5)/(-2) = 2.5, but it is -2.5",
    "-1.5 + 1 = 0.5": "-1.5 + 1 = 0.5, but it is -0.5",
    "$3{,}000 + 4{,}000 = 8{,}000$": "$3,000 + 4,000 = 8,000, but it is 7000",
    "3 + 4 = 8 \u2705": "3 + 4 = 8, but it is 7",
    "12 × 7 = 74": "12 × 7 = 74, but it is 84",
    "So they have 12 × 7 = 74 apples.": "12 × 7 = 74, but it is 84",
    "16 - 3 = 12": "16 - 3 = 12, but it is 13",
    "$2.50 * 4 = $12": "$2.50 × 4 = $12, but it is 10",
    "20% of 50 = 15": "20% of 50 = 15, but it is 10",
    "1/4 of 20 is 6": "1/4 of 20 is 6, but it is 5",
    "1,234 + 1 = 1,335": "1,234 + 1 = 1,335, but it is 1235",
    "16 eggs - 3 eggs = 12 eggs": "16 eggs - 3 eggs = 12, but it is 13",
    "10 / 3 = 3.43": "10 / 3 = 3.43, but it is 3.333",
    "10 / 3 = 5": "10 / 3 = 5, but it is 3.333",
    "7 / 2 ≈ 9": "7 / 2 ≈ 9, but it is 3.5",
    "2^10 = 1000": "2^10 = 1000, but it is 1024",
    "(2 + 3) * 4 = 14": "(2 + 3) × 4 = 14, but it is 20",
    "\\(5 \\times 3 = 16\\)": "5 × 3 = 16, but it is 15",
    "$\\frac{12 + 4}{2} = \\boxed{9}$": "(12 + 4)/(2) = 9, but it is 8",
    "3 plus 4 equals 8": "3 plus 4 equals 8, but it is 7",
    "- 5 + 3 = 9": "5 + 3 = 9, but it is 8",
    "**5 + 3 = 9**": "5 + 3 = 9, but it is 8",
    "2 + 3 = 6 × 2 = 12": "2 + 3 = 6, but it is 5",
    "48 / 2 = 24 = 72": "24 = 72, but it is 24",
    "2 * 6 = 12 = 3 * 5": "12 = 3 × 5, but it is 12",
    "He makes 5 + 3 = 9, which would be fine.": "5 + 3 = 9, but it is 8",
    "In a year that would be 3 * 12 = 37 books.": "3 × 12 = 37, but it is 36",
    "On Monday she would have to do 30 + 18 + 11 = 60 of them.": "30 + 18 + 11 = 60, but it is 59",
    "1/2 + 1/3 = 2/5": "1/2 + 1/3 = 2/5, but it is 0.8333",
    "60 packs * 7 cards per pack = 421 cards": "60 packs × 7 cards per pack = 421, but it is 420",
    "That is 150*52=$7801 a year": "150×52=$7801, but it is 7800",
    "There are 40 balls - 33 balls = 15 green balls.": "40 balls - 33 balls = 15, but it is 7",
    "So 2 feet * 4 feet = 9 square feet": "2 feet × 4 feet = 9, but it is 8",
    "She spent $8, leaving $20-$8 = $13 which she saved": "$20-$8 = $13, but it is 12",
    "It cost $5 - $3 = $3.": "$5 - $3 = $3, but it is 2",
    "If it is so, then 3 * 24 = 145.": "3 × 24 = 145, but it is 72",
    "6 cm² + 4 cm² = 11 cm²": "6 cm^2 + 4 cm^2 = 11, but it is 10",
    "12 - 8 + 3 = 11": "12 - 8 + 3 = 11, but it is 7",
    "Then 20 - 5 + 2 = 7": "20 - 5 + 2 = 7, but it is 17",
    "| total | 5 + 3 = 9 |": "5 + 3 = 9, but it is 8",
    "\\begin{align*} 5 \\times 3 &= 16 \\end{align*}": "5 × 3 &= 16, but it is 15",
    "5 * 3 = 45 apples": "5 × 3 = 45, but it is 15",
    "He sells them for $4 each: $28 / $4 = 8 cookies": "$28 / $4 = 8, but it is 7",
    "28 candies / 4 = 8 cookies": "28 candies / 4 = 8, but it is 7",
    "There are 14 girls + 11 boys = 26 children.": "14 girls + 11 boys = 26, but it is 25",
    "2 boxes + 3 apples = 15 apples": "2 boxes + 3 apples = 15, but it is 5",
    "25 tickets on belts and bracelets + 25 tickets on a toy = 51 tickets": "25 tickets on belts and bracelets + 25 tickets on a toy = 51, "
    "but it is 50",
    "12 pets - 8 cats = 5 dogs": "12 pets - 8 cats = 5, but it is 4",
    "8 hours * 45 mph = 361 miles": "8 hours × 45 mph = 361, but it is 360",
    "It costs 50*2=$101 per minute.": "50×2=$101, but it is 100",
    "It costs $1 + $3 = $5 to make each bracelet.": "$1 + $3 = $5, but it is 4",
    "The budget is 32 / 2 = $17 million.": "32 / 2 = $17, but it is 16",
    "Caroline has 36 - 24 = 13 pairs of socks.": "36 - 24 = 13, but it is 12",
    "So he is on the 6 - 2 = 5th floor.": "6 - 2 = 5, but it is 4",
    "20 couples * 2 guests/couple = 41 guests": "20 couples × 2 guests/couple = 41, but it is 40",
    "He jumps 4 times/minute * 10 minutes = 41 times.": "4 times/minute × 10 minutes = 41, but it is 40",
    "There were 20-10=11 with no badge.": "20-10=11, but it is 10",
    "Total:13+26+52=92 questions": "13+26+52=92, but it is 91",
    "It increased by 200*3 = 601.": "200×3 = 601, but it is 600",
    "He skipped an average of 56 / 4 = 15 skips.": "56 / 4 = 15, but it is 14",
    "She bakes another 30 cakes / 2 = 16 cakes.": "30 cakes / 2 = 16, but it is 15",
    "Every day 20+8+5 = 34 birds are lost.": "20+8+5 = 34, but it is 33",
    "They get a 240*.2=$49 discount.": "240×.2=$49, but it is 48",
    "So, 30 - 12 = 19 members did not order juice.": "30 - 12 = 19, but it is 18",
    "The number of flowers that are not red is 40+35=76.": "40+35=76, but it is 75",
    "He could read 36 * 2 = 73 pages.": "36 × 2 = 73, but it is 72",
    "He will earn 200 - 40 = $161 if he sells all.": "200 - 40 = $161, but it is 160",
    "If Ed has twice as many cats as dogs he has 2*5 = 11 cats.": "2×5 = 11, but it is 10",
    "Leo made 2 x 2 = 5 mistakes.": "2 x 2 = 5, but it is 4",
    "Bob runs 6 / 60 = 1.1 miles": "6 / 60 = 1.1, but it is 0.1",
    "4 books *200 pages/book = 801 pages": "4 books ×200 pages/book = 801, but it is 800",
    "E = 2 * 9.8 * 5 = 99 J": "2 × 9.8 × 5 = 99, but it is 98",
    "5 kg * 9.8 m/s^2 = 51 N": "5 kg × 9.8 m/s^2 = 51, but it is 49",
    "9.11 × (2.30 × 10^{-17}) = 2.20 × 10^{-16}": "9.11 × (2.30 × 10^{-17}) = 2.20 × 10^{-16}, but it is 2.095e-16",
    "1.5 h = 80 min": "1.5 h = 80 min, but it is 90",
    "There are (2 + 2) = 5 apples.": "(2 + 2) = 5, but it is 4",
    "5 + 3 = 9. No problem.": "5 + 3 = 9, but it is 8",
    "5 + 3 = 9, no doubt": "5 + 3 = 9, but it is 8",
    "(5 + 3) = 9": "(5 + 3) = 9, but it is 8",
    "50% + 25% = 80%": "50% + 25% = 80%, but it is 0.75",
    "100% - 30% = 60%": "100% - 30% = 60%, but it is 0.7",
    "30/50 = 65%": "30/50 = 65%, but it is 0.6",
    "30/50 * 100% = 65%": "30/50 × 100% = 65%, but it is 0.6",
    "- 2^2 + 1 = 6": "2^2 + 1 = 6, but it is 5",
    "19 × 21 ≈ 20 × 30 = 600": "19 × 21 ≈ 20 × 30, but it is 399",
    "8 = 3 + 4": "8 = 3 + 4, but it is 7",
    "So n = 13 = 2 × 2 × 3.": "13 = 2 × 2 × 3, but it is 12",
    "### 3 + 4 = 8": "3 + 4 = 8, but it is 7",
    "> 3 + 4 = 8": "3 + 4 = 8, but it is 7",
    "3 + 4 gives us 8": "3 + 4 gives us 8, but it is 7",
    "$50 - 10% = $40": "$50 - 10% = $40, but it is 45",
    "$100 + 20% = $130": "$100 + 20% = $130, but it is 120",
    "50 + 10% = 60": "50 + 10% = 60, but it is 55",
    "20% of 50 + 5 = 20": "20% of 50 + 5 = 20, but it is 15",
    "100 + 10% of 50 = 115": "100 + 10% of 50 = 115, but it is 105",
    "2 hours * 60 = 130 minutes": "2 hours × 60 = 130, but it is 120",
    "1000 × (1 + 5%)^2 = 1100": "1000 × (1 + 5%)^2 = 1100, but it is 1102.5",
    "3 minus 4 is 1": "3 minus 4 is 1, but it is -1",
    "5 - 8 = 3": "5 - 8 = 3, but it is -3",
    "5 kJ + 3 kJ = 8000 kJ": "5 kJ + 3 kJ = 8000, but it is 8",
    "Thus, each model cost $100 - $5 = $96": "$100 - $5 = $96, but it is 95",
    "He could be checked into 100 rooms - 10 rooms = 91 rooms.": "100 rooms - 10 rooms = 91, but it is 90",
    "A total of 50 + 30 = 81 oranges will not be sold.": "50 + 30 = 81, but it is 80",
    "900 - 675 = 226 people did not come.": "900 - 675 = 226, but it is 225",
    "Their weight must not exceed 600 - 548 = 53 pounds.": "600 - 548 = 53, but it is 52",
    "We have 30 minutes - 21 minutes = 10 minutes left not to be late.": "30 minutes - 21 minutes = 10, but it is 9",
    "It was 60/3=$21 more than she had thought.": "60/3=$21, but it is 20",
    "4 hours driving + 2 hours not moving = 7 hours": "4 hours driving + 2 hours not moving = 7, but it is 6",
    "Betty is 48-12 = 37” tall": "48-12 = 37, but it is 36",
    'Uki earns 5 x $70 = $351  "': "5 x $70 = $351, but it is 350",
    "She makes 8*18 = $145 per 8-hour shift": "8×18 = $145, but it is 144",
    "It grows from 20 - 2 = 19 miles.": "20 - 2 = 19, but it is 18",
    "That left a difference of 75-55 = $21": "75-55 = $21, but it is 20",
    "Production fell by 10/100*3650 = 366": "10/100×3650 = 366, but it is 365",
    "She earns 12/60 = $1.2 per minute.": "12/60 = $1.2, but it is 0.2",
    "They have Ellie's 8 + Riley's 5 = 14 shoes.": "8 + 5 = 14, but it is 13",
    "It is $240 (house and food) + $9 (phone) = $250": "$240 + $9 = $250, but it is 249",
    "The land is divided into 1 (Jose) + 4 siblings = 6 pieces.": "1 + 4 siblings = 6, but it is 5",
    "The box is 3 x the height of 12 inches = 37 inches.": "3 x 12 inches = 37, but it is 36",
    "Day 3:100+20=121": "100+20=121, but it is 120",
    "Each pays $3000/2= =$1501": "$3000/2=$1501, but it is 1500",
    "She needs 1200 sq. ft. / 400 sq. ft. per can = 4 cans": "1200 squareft / 400 squareft per can = 4, but it is 3",
    "3 lbs. of rice * 4 cups per lb. = 13 cups": "3 lbs of rice × 4 cups per lb = 13, but it is 12",
    "It moves 40 * 3 pairs of boxes = 121 pairs of boxes.": "40 × 3 pairs of boxes = 121, but it is 120",
    "He took 11 pills/day * 7 days/week = 770 pills/week": "11 pills/day × 7 days/week = 770, but it is 77",
    "9 kilometers * 1000 meters/kilometer = 90000 meters": "9 kilometers × 1000 meters/kilometer = 90000, but it is 9000",
    "It is 50 feet * $8/foot = $4000": "50 feet × $8/foot = $4000, but it is 400",
    "It takes 180 minutes / 60 minutes/hour = 30 hours": "180 minutes / 60 minutes/hour = 30, but it is 3",
    "They blew up 60 balloons from Kris + 180 balloons from Kris' brother = 241": "60 balloons from Kris + 180 balloons from Kris "
    "brother = 241, but it is 240",
    "It is 105 flowers - 45 flowers that are not pink or purple = 61": "105 flowers - 45 flowers that are not pink or purple = 61, "
    "but it is 60",
    "He has 50 balloons - the 12 balloons Ashley has = 39": "50 balloons - 12 balloons Ashley has = 39, but it is 38",
    "18 pints * 2 = 37 cups": "18 pints × 2 = 37, but it is 36",
    "He threw the ball 16+4 = 60 yards": "16+4 = 60, but it is 20",
}


@pytest.mark.parametrize(("text", "said"), FALSE.items())
@pytest.mark.parametrize("where", ["response", "reasoning"])
def test_what_is_false_fails_by_name(text: str, said: str, where: str) -> None:
    """The reason names the equation, what it really is, and where it stands; true ones beside it don't save it."""
    found = check(f"First, 1 + 1 = 2.\n{text}") if where == "response" else check("1 + 1 = 2", text)
    assert found.passed is False
    assert found.reason.startswith(f"{said} ({'response' if where == 'response' else 'chain of thought'}); 1 of ")
    assert found.score is not None
    assert 0 < found.score < 1


LEFT_ALONE = [
    "She sold 3 of the 5 shirts at $20 = $60",
    "10% off 3 shirts at $20 = $54",
    "2 adults at $10 and 3 children at $5 = $35",
    "Let k be 3: $2k + $3 = $9",
    "From 9:00-6:00 = 4 hours 10 minutes",
    "Suppose that 9:00-6:00 = 4 hours",
    "From 9:00 to 10:40 = 2 hours",
    "3:2 - 2:1 = 5",
    "If 2 + 2 = 5, pigs can fly.",
    "1/2 dozen + 3 dozen = 42",
    "half a dozen + 2 dozen = 30",
    "2 pairs of gloves, 1 pair of socks, 3 pairs of shoes, 2 pairs of skis, 1 pair of poles: 5 pairs + 1 = 12",
    "1/2 of the 20 + 10 = 15",
    "From 12, another 5 - 2 = 15",
    "increased by a factor of 3, by 4 + 4 = 24 from 3",
    "He ruled 1999-2003 = 5 years.",
    "Score: 10-20 = 2 points",
    "Lines 2-4 = 3 lines",
    "",
    "The answer is 72.",
    "x + 3 + 4 = 10",
    "2x + 3 = 13",
    "3x - 5 = 16",
    "5 + 3x = 14",
    "price * 3 = 12",
    "f(3) + 2 = 9",
    "√16 + 2 = 5",
    "√9 + 16 = 5",
    "√9 × 4 = 6",
    "3√27 = 3",
    "\\sqrt[3]{27} = 4",
    "∛27 = 4",
    "x√9 = 6",
    "√16 = ±4",
    "It's 5! + 1 more makes 6",
    "We get 10! So the rest = 10.",
    "5!! + 1 = 3",
    "the height of C(5,2) = 2",
    "3 + 14 = 2 mod 5",
    "17 mod 5 = 3",
    "From 9 to 10 hours = 60 minutes",
    "1 hour 30 minutes = 90 minutes",
    "1 day = 8 hours",
    "1 hour is 45 minutes of class",
    "12 × 7 ≠ 74",
    "12 × 7 does not equal 74",
    "12 × 7 is not equal to 74",
    "12 × 7 can't equal 74",
    "12 × 7 does not equal 84",
    "12 × 7 == 74",
    "12 × 7 >= 74",
    "It is not true that 12 × 7 = 74.",
    "If 12 × 7 = 74 then all is lost.",
    "12 × 7 = 74 would be wrong.",
    "You would get 12 × 7 = 74 by adding them.",
    "A careless student would compute 12 × 7 = 74.",
    "It would seem that 12 × 7 = 74.",
    "One would be led to 12 × 7 = 74.",
    "Is 12 × 7 = 74?",
    "12 × 7 = 74? No.",
    "12 × 7 = 74. Wait, that's wrong.",
    "12 × 7 = 74\nNo, that is a mistake.",
    "Suppose 12 × 7 = 74.",
    "```python\nassert 12 * 7 == 74\nx = 12 * 7 = 74\n```",
    "~~~\n12 * 7 = 74\n~~~",
    "`12 * 7 = 74`",
    "On 5/3 = the third of May",
    "Wake up at 6:30 + 2 = 8:30",
    "0900-0130 = 0730 hours",
    "1 234 + 1 = 2 235",
    "2,5 + 1 = 3,5",
    "1.234.567 + 1 = 2",
    "2 feet + 6 inches = 30 inches",
    "50 cents * 4 = $2",
    "2 hours * 60 = 120 minutes + 1 = 3 hours",
    "3 * 60 = 3 hours",
    "2 hours 30 minutes + 1 hour = 3 hours 30 minutes",
    "5 dozen + 3 = 63",
    "half of 10 + 5 = 10",
    "twice 5 + 3 = 13",
    "the square root of 9 + 7 = 4",
    "3/4 = 15 students",
    "20 + 10 boxes to the 29 + 24 boxes = 83 boxes",
    "Step 2 - 5 + 3 = 8",
    "2020-2023 = 3 years",
    "17 % 5 = 2",
    "17 // 5 = 3",
    "17 mod 5 = 2",
    "17 / 5 = 3 remainder 2",
    "17 ÷ 5 = 3 R 2",
    "1 + 2 + ... + 10 = 55",
    "5 + 3 = 8x",
    "100 + 20% - 5 = 3",
    "-2^2 = 4",
    "2^999999999 = 7",
    "9" * 400 + " + 1 = 2",
    "1 / 0 = 3",
    "10 / 3 = 3",
    "5 * 3 is 15 times as many, and 4 + 1 is 3 less than that",
    "(5 + (3 * 2) = 8",
    "\\frac{5^{2}}{5} = 7",
    "the 5th + 3 = 9",
    "In binary, 1 + 1 = 10.",
    "6 ÷ 2(1 + 2) = 1",
    "$1 + 2 + 3 + \\dots + 100 = 5051$",
    "\\[ \\binom{n}{2} + 1 = 12 \\]",
    "| 12 × 7 | = 74 |",
    "A + 2A + 3A = 5A",
    "sqrt (9) + 1 = 4",
    "log (100) + 1 = 3",
    "sqrt of 9 + 16 = 5",
    "4! + 1 + 2 = 27",
    "0x10 + 1 = 17",
    "0xFF + 1 = 256",
    "0b101 + 1 = 6",
    "10 + 5 = 3 PM",
    "9 + 8 = 5 o'clock",
    "1.200 + 300 = 1.500",
    "1.200 € + 300 € = 1.500 €",
    "pages 10 - 20 = 11 pages",
    "8 doubled + 2 = 18",
    "6 km/ 1/30 hour = 180 km per hour",
    "5 boxes per 3 + 2 = 9",
    "Total for 10 - 5 * 2 = 10",
    "|3 - 5| + 1 = |5 - 3| + 1",
    "2 + 2 = four",
    "- 5 + 3 = -2",
    "90 + 60 = 2 hours 30 minutes",
    "30 + 45 = 6 feet, 3 inches",
    "45 + 30 = 1 hour 15",
    "8 + 7 = 1 ten and 5 ones",
    "8 + 7 = 5 carry 1",
    "We write 5 + 9 + 1 = 5, carrying 1",
    "3 - 9 = 4, borrow 1",
    "11 + 3 = 2 in the afternoon",
    "3 * 5 = 1 in Z_7",
    "1 + 1 = 0 in GF(2)",
    "1 + 1 = 1 in Boolean algebra",
    "2 m + 3 = 7",
    "3 g + 2 = 8 g",
    "2 m * 3 = 12, so m = 2",
    "Let h be the height. Then 3 h + 2 h = 8",
    "100 + 200 = 0.3 kg",
    "250 mL * 4 = 1 L",
    "1 ms × 1.25 × 10^9 Bytes/s = 1.25 × 10^6 Bytes",
    "-6[(0.1)^{-1} - (0.3)^{-1}] = -6[10 - 3.33]",
    "5.5% + 0.6% = 6.1% = $1,220",
    "450,000 * 4 = 1.8 million",
    "1,000 + 800 = 1.8 thousand",
    "24 socks / 1 = 12 pairs",
    "15 / 5 = 3 to 5",
    "2 * 4 = 2 to the third power",
    "She has $12 and gets another 5 - 2 = $15.",
    "The price of 100 increased by 10 * 2 = 120.",
    "Multiply 5 by 2 + 3 = 13",
    "from 9 - 5 = 8 hours",
    "The average of 10 + 20 = 15",
    "3 hours + 20 minutes = 200 minutes",
    "5 dollars + 3 quarters = 575 cents",
    "5 boxes of 12 - 8 = 52",
    "60 mph * 30 minutes = 30 miles",
    "1 + 1 = 11 as strings",
    "bitwise: 5 ^ 3 = 6",
    "This is not 12 × 7 = 74.",
    "It doesn't give 12 × 7 = 74.",
    "12 × 7 = 74 does not hold.",
    "12 × 7 = 74 is not right.",
    "Try 12 × 7 = 74.",
    "One could say that 12 × 7 = 74.",
    "10 / 2 = 6 if we count both ends.",
    "If the product of these was 12 × 7 = 74,",
    "12 = 3 + 9x",
    "1/3 = 0.33\n5 = 1 / (0.33 - 1/3)",
    "1.5 hours * 2 = 180 minutes",
    "200 minutes / 2 = 1.67 hours",
    "2020 - 2023 = 3 years",
    "Row 8 = 3 + 4",
    "0 = 5 - 3, a contradiction",
    "Is 8 = 3 + 4?",
    "20 = 2 × 3 + 2w",
    "98 + 53 ≈ 100 + 50 = 150",
    "λ = 3 × 10^8 / 6 × 10^14 = 5 × 10^-7 m",
    "- (-3) + 2 = 5",
    "5 tens + 3 ones = 53",
    "5 hundreds + 3 = 503",
    "two-thirds of 30 + 5 = 25",
    "2 hours at $15 + $5 tip = $35",
    "9am - 5pm = 8 hours",
    "A working day is 9 - 5 = 8 hours.",
    "The cost for everyone (2 + 3) = $50",
    "(9-12) = 4 chapters",
    "(1/2) = 3 pieces",
    "50% + 20% of the rest = 60%",
    "33% + 33% + 33% = 100%",
    "x = 4: 4 + 5 = 10, false.",
    "4 + 5 = 10 (no)",
    "4 + 5 = 10 ✗",
    "4 + 5 = 10 — no.",
    "That gives 2 + 2 = 5, which is absurd.",
    "2 + 2 = 5, a contradiction.",
    "Since 4 + 4 = 9 is impossible, there is none.",
    "Digital root: 9 + 8 = 17 = 1 + 7 = 8.",
    "100 W × 3600 s = 360 kJ",
    "100 W × 2 h = 0.2 kWh",
    "8 × 2^20 = 8 MB",
    "255 + 1 = 0 since it overflows",
    "From left to right, 3 + 4 × 2 = 14.",
    "All arithmetic is mod 7.\n5 + 4 = 2\n3^2 × 2 = 2 × 2",
    "In the field F_5:\n3 + 4 = 2",
    "\\mathbb{Z}_7 is a field.\n5 + 4 = 2",
    "In octal:\n\n7 + 1 = 10",
    "We work in base 12. Thus 8 + 8 = 14.",
    "On a 12-hour clock:\n9 + 5 = 2",
    "This could be thought to be 12 × 7 = 74.",
    "12 × 7 = 74, which could not be right.",
    "That can't be: 12 × 7 = 74.",
    "12 × 7 = 74 can not be right.",
    "One would say 12 × 7 = 74.",
    "12 x 7 = 74 does not come to the same.",
    "Modular arithmetic: 5 + 4 = 2",
    "from 10 - 4 = 6.5",
    "the product of 3 - 1 = 8",
    "half of the sum of 3 + 4 = 3.5",
    "1 (dozen) + 2 = 14",
    "3 (squared) + 1 = 10",
    "The first 3 x the square of 2 = 12",
    "2 dozen * 3 = 72 eggs",
    "12 + 12 = 2 feet",
    "24 / 12 = 6 feet",
    "2 days * 8 hours = 960 minutes",
    "54 hours * 60 minutes = 32400 minutes",
    "2 yards * 10 = 18.3 meters",
    "2 quarts * 10 = 18.9 liters",
    "Some say 12 people that 12 × 7 is not = 74",
    "18 pints * 2 = 72 cups",
    "2k + 3 = 7",
    "$45k / 12 = $3.8k",
    "$2 + $3 - the half of 2 = 3",
    "5 yards - 2 = 9 feet",
    "Define a * b = a + 2b. Then 3 * 4 = 3 + 8 = 11.",
]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_can_not_be_read_for_certain_fails_nothing(text: str) -> None:
    """A false alarm throws away good data."""
    found = check(text)
    assert found.passed is not False, found
    assert check(f"{text}\n\n5 + 5 = 10").passed is True


def test_what_is_mended_later_is_left_alone() -> None:
    """Of a calculation that is done twice, the second one counts; the other way round it doesn't."""
    assert check("12 × 7 = 74. Let me do it again.\n\n12 × 7 = 84").passed is True
    assert check("12 × 7 = 84\n12 × 7 = 74").passed is False
    assert check("12 × 7 = 74\n\n12 × 7 = 84").passed is False, "nobody says that the first is wrong"


def test_what_is_quoted_from_the_prompt_is_left_alone() -> None:
    """It is not the response's own claim."""
    assert check("You say 12 × 7 = 74.", prompt="Somebody says 12 × 7 = 74. Right?").passed is None
    assert check("You say 12 × 7 = 74.", prompt="What is 12 × 7?").passed is False


def test_another_arithmetic_excuses_only_what_is_true_in_it() -> None:
    """A text that speaks of a modulus, a base or an operation of its own states false equations still."""
    assert check("Modulo 7:\n5 + 4 = 3").passed is False
    assert check("Modulo 7:\n5 + 4 = 16").passed is False
    assert check("In octal:\n7 + 1 = 11").passed is False
    assert check("In octal:\n8 + 1 = 10").passed is False
    assert check("Define a * b = a + 2b.\n3 + 4 = 11").passed is False
    assert check("3 + 4 = 2", prompt="What is 3 + 4 in base 5, modulo 5?").passed is None


def test_rounded_values_are_carried_along() -> None:
    """What was rounded a line before may be used exactly in the next."""
    assert check("1/3 = 0.33\n0.33 * 12 = 4", strict=True).passed is True
    assert check("0.33 * 12 = 4", strict=True).passed is False


@pytest.mark.parametrize("text", ["1/3 ≈ 0.34", "10 / 3 ≈ 3.4"])
def test_about_is_no_wider_than_the_digits(text: str) -> None:
    """What is neither rounded nor cut off to them isn't counted as true; an estimate may be meant."""
    assert check(text).passed is None


@pytest.mark.parametrize("text", ["2 + 3 = 5 × 2 = 10", "10 / 3 = 3", "5 + 1 = 6 - 2 = 4 * 3 = 12"])
def test_strict(text: str) -> None:
    """A running total and silent rounding are as people write; `strict` takes an equals sign at its word."""
    assert check(text).passed is not False
    assert check(text, strict=True).passed is False


def test_without_the_reasoning() -> None:
    """The chain of thought may be left out."""
    assert check("2 + 2 = 4", "2 + 2 = 5").passed is False
    assert check("2 + 2 = 4", "2 + 2 = 5", reasoning=False).passed is True


def test_too_few_equations_decide_nothing() -> None:
    """Beside other verifiers an undecided one fails nothing."""
    assert check("So it is 4.").passed is None
    assert check("2 + 2 = 4", require=2).passed is None
    assert check("2 + 2 = 4 and 3 + 3 = 6", require=2).passed is True
    assert check("2 + 2 = 5", require=2).passed is False
    with pytest.raises(ValidationError):
        check("", require=0)


@given(
    st.lists(
        st.sampled_from(
            [
                *"0123456789+-*/^()%=.,:$ \n",
                "×",
                "≈",
                " = ",
                " is ",
                " of ",
                "\\frac{",
                "}{",
                "}",
                "\\times ",
                "- ",
                " apples",
                " x ",
                "²",
                "½",
            ]
        ),
        max_size=40,
    ).map("".join)
)
@settings(max_examples=400, deadline=None)
def test_nothing_is_raised(text: str) -> None:
    """Whatever stands there, it is read or left alone; and what is true stays true beside it."""
    for strict in (False, True):
        assert all(claim.text for claim in claims(text, strict=strict))
    assert claims(f"{text}\n\n6 + 6 = 12")[-1].true is True or "`" in text


HOSTILE = {
    "digits": "7" * 1_000_000,
    "sums": "1+" * 500_000 + "1=2",
    "lines of sums": ("1+" * 900 + "1=2\n") * 550,
    "equalities": "1=" * 500_000,
    "lines of equalities": ("1+1=" * 480 + "\n") * 520,
    "brackets": "(" * 500_000 + ")" * 500_000 + "=1",
    "lines of brackets": ("(" * 900 + "1" + ")" * 900 + "=1\n") * 550,
    "LaTeX": ("\\frac{" * 300 + "=\n") * 550,
    "stars": ("1*" * 900 + "=1\n") * 550,
    "divisions": ("1/9.87654321" * 16 + "=1\n") * 5_000,
    "powers": ("9^32^32=1\n" * 100_000),
    "words": ("1 is 1 " * 250 + "\n") * 570,
    "is": "1 is " * 200_000,
    "fences": "```\n" * 250_000,
    "tildes": "~~~~\n```\n" * 110_000,
    "spaces": "1 + 1 =" + " " * 1_000_000 + "3",
    "bullets": (" " * 1900 + "1=1\n") * 520,
    "false ones": "1+1=3. " * 140_000,
    "moduli": "".join(f"mod {i} base {i % 37} " for i in range(5_000)) + "1+1=99999. " * 90_000,
    "operations": "define a " * 120_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_takes_not_much_longer_than_an_honest_one(text: str) -> None:
    """A megabyte is left undecided, and the longest text that isn't takes a bounded multiple of what plain sums take."""
    assert check(text).passed is not True
    longest = text[:MAX_CHARS]
    began = time.process_time()
    claims("He has 12 + 7 = 19 apples and eats 3.\n" * (MAX_CHARS // 38))
    honest = time.process_time() - began
    began = time.process_time()
    check(longest)
    assert time.process_time() - began < 20 * honest + 1
