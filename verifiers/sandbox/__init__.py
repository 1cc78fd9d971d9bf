"""Runs untrusted code and says whether its tests pass. `protocol.py` is the interface, `judge.py` and `remote.py` keep it.

The folder `inside` is the part that runs in the jail. Three processes take part in one sample of a function:

    host (ours)  ── verdict pipe ◄── test process (our harness, the prompt's tests)      one jail
         │                                  ▲ RPC over a socket pair, our own codec
         └── source ──► solution process (the untrusted code) ──┘                        another jail

The code under test shares no process, namespace, file or descriptor with whoever judges it, and never sees the tests' text.
"""

from verifiers.sandbox.judge import BubblewrapSandbox, default, examine
from verifiers.sandbox.protocol import Case, Execution, Limits, Program, ProgramJob, PythonJob, Result, Sandbox

__all__ = [
    "BubblewrapSandbox",
    "Case",
    "Execution",
    "Limits",
    "Program",
    "ProgramJob",
    "PythonJob",
    "Result",
    "Sandbox",
    "default",
    "examine",
]
