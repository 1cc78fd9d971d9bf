"""What runs: the spec, the Prefect flows, the command line, and the wiring of a spec to objects."""
