"""The solution process: runs the untrusted code, then answers the test process. Nothing in here is trusted by anybody."""

from __future__ import annotations

import io
import os
import socket
import sys
import types

from verifiers.sandbox.inside.peer import Closed, Peer

NAME = "solution"
KEPT = 1 << 16


class Captured(io.StringIO):
    """Standard output: what is printed goes along with the next answer. Too much goes to the pipe, whose reader counts it."""

    def write(self, text: str) -> int:
        """Keep a text, or pass it on."""
        size = super().write(text)
        if self.tell() > KEPT:
            os.write(1, self.take().encode(errors="replace"))
        return size

    def take(self) -> str:
        """Return what is kept, once."""
        text = self.getvalue()
        if text:
            self.seek(0)
            self.truncate()
        return text


class SolutionPeer(Peer):
    """The solution's end."""

    def __init__(self, sock: socket.socket, output: Captured) -> None:
        super().__init__(sock)
        self.output = output

    def printed(self) -> str:
        """Return what the code has printed."""
        return self.output.take()


def main(source: str, sock: socket.socket) -> None:
    """Run the code and serve its names."""
    output = Captured()
    sys.stdout = output
    peer = SolutionPeer(sock, output)
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module
    packer = peer.packer()
    try:
        try:
            exec(compile(source, "<code>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what all this is for
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - the code may raise anything
            peer.send(peer.encode(["failed", _told(error), peer.printed()]))
            return
        names = {name: value.__name__ if isinstance(value, types.ModuleType) else "" for name, value in vars(module).items()}
        # Sent unasked, since the tests will most likely want them.
        functions = {name: value for name, value in vars(module).items() if type(value) is types.FunctionType}
        peer.send(peer.encode(["ready", packer.pack([names, module, functions]), peer.printed()]))
        peer.serve()
    except Closed:
        pass


def _told(error: BaseException) -> str:
    where = ""
    trace = error.__traceback__
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<code>":
            where = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"
