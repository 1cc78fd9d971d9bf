"""A filter of system calls for the sample's processes: what has no use for a program and opens a way around the jail.

No file system, namespace or capability stands behind these calls that the jail would not refuse anyway; the filter is there
because they are the parts of the kernel in which such refusals have failed before, and because a few of them (shared memory,
memfd, keyrings) would let a sample keep memory past its limits or leave something for the next one. `mount` and `umount2` aren't
here, since the fork server needs them, and a sample has no capability to use them with nor a way to get one.
"""

from __future__ import annotations

import errno
import platform
import struct

# The number of each call on x86_64, and on aarch64.
DENIED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "perf_event_open": (298, 241), "bpf": (321, 280),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "unshare": (272, 97), "setns": (308, 268),
    "fsopen": (430, 430), "open_tree": (428, 428), "move_mount": (429, 429),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "setpriority": (141, 140), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "ioprio_set": (251, 30), "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "statmount": (457, 457), "listmount": (458, 458),
    "syslog": (103, 116), "inotify_init": (253, 26), "inotify_init1": (294, 26),
}  # fmt: skip
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
OWN = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122)}
"""Calls that a process may make for itself alone: where samples have process 1's user, it would stay as they leave it."""
FCNTL, NOTIFY = (72, 25), 1026
"""With `inotify`, how one would hear which files of the interpreter the neighbours open."""
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
NEW_NAMESPACES = 0x7E020000
LOCAL, INTERNET = (1,), (2, 10)  # unix; inet, inet6. A VM's vsock, for one, is in no network namespace.

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000


def program(*, network: bool) -> bytes:
    """Return the filter for this machine, with sockets of the internet's families or without.

    Raise KeyError for a kind of machine whose numbers aren't known.
    """
    families = LOCAL + INTERNET if network else LOCAL
    column, architecture = MACHINES[platform.machine()]
    refuse = 0x00050000 | errno.EPERM
    unknown = 0x00050000 | errno.ENOSYS
    code = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if column == 0:  # the x32 numbers, a second door to the same calls
        code += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, refuse)]
    for numbers in DENIED.values():
        code += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, refuse)]
    # glibc falls back from clone3, whose flags a filter can't read, to clone.
    code += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, unknown)]
    code += [(EQUAL, 0, 4, CLONE[column]), (LOAD, 0, 0, 16), (ANY_BIT, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, refuse)]
    code += [(RETURN, 0, 0, ALLOW)]
    for numbers in OWN.values():
        code += [(EQUAL, 0, 4, numbers[column]), (LOAD, 0, 0, 16), (EQUAL, 1, 0, 0)]
        code += [(RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    code += [(EQUAL, 0, 4, FCNTL[column]), (LOAD, 0, 0, 24), (EQUAL, 0, 1, NOTIFY), (RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    code += [(EQUAL, 0, len(families) + 2, SOCKET[column]), (LOAD, 0, 0, 16)]
    code += [(EQUAL, len(families) - index, 0, family) for index, family in enumerate(families)]
    code += [(RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)
