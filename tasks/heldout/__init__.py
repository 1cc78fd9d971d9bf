"""Held-out benchmarks, and how their items are found in prompts and responses."""
