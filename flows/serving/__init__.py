"""Deployments: specs that a Prefect server has run by the clock or by hand, and what one such run may change."""
