"""Tests of the documentation: what it shows works, and what it links to is there."""
