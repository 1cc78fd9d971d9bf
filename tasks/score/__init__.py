"""Scoring: what a model makes of a response that is given, token by token."""
