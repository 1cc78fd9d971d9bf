"""Builds on real clusters of several processes."""
