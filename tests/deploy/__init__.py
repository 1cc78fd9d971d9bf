"""Tests of what deploy/ holds: as far as a machine without Docker and without a cluster can."""
