"""Where the console script begins. Worker processes import what the script does, so nothing is loaded here before it runs."""

from __future__ import annotations


def run() -> None:
    """Be a process of the command line's own."""
    from flows.process import streams

    streams.mend()  # which what is loaded next looks at

    from flows import cli

    cli.run()
