"""Locks of files. They are the kernel's, so each ends with its process, however that ends."""

from __future__ import annotations

import fcntl


def taken(handle: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file unless somebody holds it, and return whether this process has it until the file is closed.

    `shared`: beside others who take it so.
    """
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
