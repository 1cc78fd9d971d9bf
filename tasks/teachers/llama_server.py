"""The embedded teacher's own process: llama.cpp's HTTP server, bound to this machine and to its parent's life.

    python -m tasks.teachers.llama_server --model PATH [--port N] [--slots N] [--context N] [--threads N] [--alias NAME]

Prints one line, `ready http://127.0.0.1:PORT`, as soon as it answers. Ends when its standard input closes, so that it outlives
no parent, however that one dies; a signal ends it too. It imports nothing of ours: `tasks.teachers.embedded` starts it by path.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import Any

READY = "ready "
"""What the line on standard output begins with; the address follows."""
HOST = "127.0.0.1"
ERRORS_ONLY = 1
LAST_WORDS_S = 0.5
"""In seconds: what llama.cpp can't do it says on stderr, from a thread of its own that an exit would cut off."""


def main() -> int:
    """Serve until the parent goes away."""
    options = _options()
    answer = _keep_stdout()
    # A parent that ignores SIGTERM would hand that down. The default action also works while llama.cpp holds the GIL.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    closed = threading.Thread(target=_end_with_stdin, daemon=True)
    closed.start()
    try:
        server = _start(options)  # it serves for as long as this name holds it
    except RuntimeError:
        time.sleep(LAST_WORDS_S)
        return 1
    os.write(answer, f"{READY}{server.listening_address}\n".encode())
    closed.join()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llama_server", description="Serve a GGUF model on 127.0.0.1 until stdin closes.")
    parser.add_argument("--model", required=True, metavar="PATH")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0: one that is free")
    parser.add_argument("--slots", type=int, default=8, metavar="N", help="requests served at a time")
    parser.add_argument("--context", type=int, default=2048, metavar="N", help="tokens a slot, prompt and response together")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--alias", default="local", metavar="NAME", help="the model's name in requests")
    return parser.parse_args()


def _keep_stdout() -> int:
    """Return a descriptor for the one line, and send whatever else is printed, by C++ too, to stderr."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    # Not sys.exit: llama.cpp's threads are in the middle of something, and nobody is left to hear of it.
    os._exit(0)


def _start(options: argparse.Namespace) -> Any:
    xllamacpp: Any = import_module("xllamacpp")  # an extra without types
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {options.alias}
    params.hostnames = [HOST]
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.slots * options.context  # llama.cpp divides it among the slots
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.verbosity = ERRORS_ONLY
    params.fit_params = False  # it would shrink the context to the memory that happens to be free
    params.cache_ram_mib = 0  # prompts that a slot has left are not asked again: gigabytes for nothing
    params.cors_origins = ""  # no web page has business here
    params.endpoint_slots = False
    params.ui = False
    params.prefill_assistant = False  # a conversation that ends with an answer is shown whole, as who scores it needs it
    return xllamacpp.Server(params)


if __name__ == "__main__":
    sys.exit(main())
