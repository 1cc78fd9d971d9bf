"""Evaluation: contestants answer the same held-out prompts, and the same verifiers judge them.

grades      what became of each sample: passed, refuted, undecided …, as counts by prompt and contestant
passing     pass@k of such counts
bootstrap   intervals, over prompts
manner      how the answers are written: style by prompt and contestant, diversity
comparison  rates, differences and intervals, of all prompts or of some
statement   what of it is said in words
seen        which of the held-out prompts stand in what a student was trained on
"""
