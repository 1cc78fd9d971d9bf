"""Asking one teacher: limits, retries, and what becomes of a response."""
