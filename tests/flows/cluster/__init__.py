"""Tests of flows.cluster."""
