"""The process that a flow runs in: Prefect's server, signals, and an end in order, whatever becomes of either."""
