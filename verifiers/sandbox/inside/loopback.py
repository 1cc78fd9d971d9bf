"""Whether anything went over the jail's loop-back device since the jail was new.

A connection outlives its processes: its port is held for a minute, and a sample that wants the same one would fail for what the
one before it did. So a jail whose device has carried a packet isn't used again.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

GET_STATISTICS, REQUEST, LOOPBACK, OF_LINKS = 94, 1, 1, 1
_REQUEST = struct.pack("=IHHIIBBHII", 28, GET_STATISTICS, REQUEST, 0, 0, 0, 0, 0, LOOPBACK, OF_LINKS)
_ROOM = 1024
_libc = ctypes.CDLL(None, use_errno=True)
_before, _now = (ctypes.create_string_buffer(_ROOM) for _ in range(2))


def watch(number: int) -> bool:
    """Note how the device stands, over a socket to the kernel under this descriptor. Return whether a packet would show."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            os.dup2(kernel.fileno(), number, inheritable=False)
        _look(number, _before)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packet:
            packet.bind(("127.0.0.1", 0))
            packet.sendto(b"", packet.getsockname())
    except OSError:
        return False
    shows = used(number)
    _look(number, _before)
    return shows


def used(number: int) -> bool:
    """Return whether it carried anything since."""
    _look(number, _now)
    return bool(_libc.memcmp(_now, _before, _ROOM))


def _look(number: int, answer: ctypes.Array[ctypes.c_char]) -> None:
    # By calls that make no objects: this is done once a sample, and memory that is written to costs the next one a page.
    if _libc.send(number, _REQUEST, len(_REQUEST), 0) < 0 or _libc.recv(number, answer, _ROOM, socket.MSG_DONTWAIT) < 0:
        raise OSError(ctypes.get_errno(), f"the network can't be looked at: {os.strerror(ctypes.get_errno())}")
