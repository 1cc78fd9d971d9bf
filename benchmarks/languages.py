"""What a whole program costs in the sandbox, against one plain process of its interpreter in the same run.

    python benchmarks/languages.py [--rounds 20]

`warm`: the fork server of a jail that is there becomes the interpreter. `fresh`: a jail is started for the program and thrown
out after it, as a sandbox without a fork server would do. The plain process has no walls at all.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.protocol import Limits, Program

PLAIN = {"python": [sys.executable, "-I", "-c"], "javascript": ["node", "-e"], "bash": ["bash", "-c"]}


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    sandbox = BubblewrapSandbox(1)
    for name, language in LANGUAGES.items():

        def fresh(name: str = name, source: str = language.probe) -> None:
            own = BubblewrapSandbox(1)
            own.execute(Program(source=source, language=name), "", Limits())
            own.close()

        program = Program(source=language.probe, language=name)
        command = [*PLAIN[name], language.probe]
        sandbox.ready(name)
        columns = zip(
            *(
                (
                    timed(lambda program=program: sandbox.execute(program, "", Limits())),
                    timed(fresh),
                    timed(lambda command=command: subprocess.run(command, capture_output=True, check=True)),
                )
                for _ in range(rounds)
            ),
            strict=True,
        )
        warm, new, plain = map(median, columns)
        print(f"{name:11} warm {warm:6.1f} ms   fresh {new:6.1f} ms   plain {plain:6.1f} ms   warm / plain {warm / plain:4.2f}")
    sandbox.close()


if __name__ == "__main__":
    main()
