"""Watching a run: artifacts, assets and events in Prefect, a person's approval, and metrics for Prometheus."""
