"""Browsing: a landed build's samples as people read them, each with its prompt and what the verifiers said of it."""
