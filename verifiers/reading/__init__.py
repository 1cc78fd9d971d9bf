"""Where the answer of a response stands, and what stands there: numbers, choices, dates, JSON, code."""
