"""Which system calls a confined process may make, compiled to the filter that the kernel runs (seccomp, classic BPF). Pure."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# The number of each call that a rule speaks of, by architecture: (x86_64, aarch64), None where that one has no such call.
CALLS: Mapping[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "creat": (85, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "inotify_add_watch": (254, 27),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "lchown": (94, None),
    "listmount": (458, 458),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "migrate_pages": (256, 238),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264),
    "open": (2, None),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "statmount": (457, 457),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}
# The newest call that was looked at (both architectures count alike from 424 on): what comes later does not exist inside.
_NEWEST = 469
# The kernel's name of each architecture (AUDIT_ARCH_*), and its column above.
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# Nothing that a build does needs these; each has been, or leads to, a way out.
_DENIED = (
    # other processes
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
    # mounts and namespaces
    *("mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("mount_setattr", "statmount", "listmount", "unshare", "setns"),
    # the kernel itself, its keys, its clock
    *("keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "init_module", "finit_module", "delete_module"),
    *("kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "settimeofday"),
    *("clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname", "iopl", "ioperm", "modify_ldt", "lookup_dcookie"),
    *("vhangup", "migrate_pages", "move_pages", "ustat", "sysfs", "uselib"),
    # files by another way than their path; a ring of calls that no filter sees
    *("open_by_handle_at", "name_to_handle_at", "fanotify_init", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    # memory that no limit counts
    "memfd_create",
)
# Programs fall back to an older call where these do not exist; their arguments lie in memory, where no filter can look.
_ABSENT = ("clone3", "openat2")
# Where no namespace keeps them apart from those of the host.
_SHARED = (
    *("shmget", "shmat", "semget", "semop", "semtimedop", "msgget", "msgsnd", "msgrcv", "mq_open", "mq_unlink"),
    *("inotify_init", "inotify_init1", "inotify_add_watch"),
)
# Landlock says nothing of a file's mode, owner, times and attributes.
_OWNERS = ("chown", "fchown", "lchown", "fchownat")
_ATTRIBUTES = (
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat", "file_setattr"),
)
ASKED = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat")
_SIGNALS = ("tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
# Calls whose first argument is a process, 0 for the caller itself.
_ON_PROCESS = ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr")

_NAMESPACES = 0x7E020000  # every CLONE_NEW* that fits beside a signal's number
_SET_UID = 0o4000
_CREATES = 0x400040  # O_CREAT, O_TMPFILE
_DEVICE_TYPES = 0x2000  # the bit that S_IFCHR and S_IFBLK share, and no other type that mknod makes
_TYPE_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16

_ALLOW = 0x7FFF0000
_ASK = 0x7FC00000
_LOAD, _EQUAL, _GREATER_OR_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they lie in struct seccomp_data

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What differs between sandboxes. ``namespaces``: network, IPC and processes are its own, so what is in them may be used.

    ``ask``: the calls of ``ASKED`` are handed to the keeper. ``signals``: something else keeps signals inside. ``truncate``: something else
    guards truncate(2).
    """

    namespaces: bool
    ask: bool = False
    signals: bool = True
    truncate: bool = True


def number(machine: str, call: str) -> int | None:
    """The number of a call on an architecture."""
    return CALLS[call][ARCHITECTURES[machine][1]]


def compile_filter(machine: str, rules: Rules) -> bytes:
    """The filter's program for ``machine`` ("x86_64", "aarch64"): an array of struct sock_filter."""
    audit, _ = ARCHITECTURES[machine]
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, audit),
        _refuse(errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_GREATER_OR_EQUAL, 0, 1, _NEWEST + 1),  # x32's calls too
        _refuse(errno.ENOSYS),
    ]

    def on(names: Iterable[str], *steps: Instruction) -> None:
        """For each of the calls, ``steps``; what they let through is allowed, since they loaded something else than the number."""
        for name in names:
            found = number(machine, name)
            if found is not None:
                block = [*steps] if len(steps) == 1 else [*steps, (_RETURN, 0, 0, _ALLOW)]
                program.extend([(_EQUAL, 0, len(block), found), *block])

    on(_DENIED, _refuse(errno.EPERM))
    on(_ABSENT, _refuse(errno.ENOSYS))
    on(["clone"], *_any_bit(0, _NAMESPACES, errno.EPERM))
    on(["ioctl"], *(step for request in _TYPE_INTO_TERMINAL for step in _equal(1, request, errno.EPERM)))
    on(["mknod"], *_any_bit(1, _DEVICE_TYPES | _SET_UID, errno.EPERM))
    on(["mknodat"], *_any_bit(2, _DEVICE_TYPES | _SET_UID, errno.EPERM))
    on(["creat"], *_any_bit(1, _SET_UID, errno.EPERM))
    for name, flags in (("open", 1), ("openat", 2)):
        on([name], _load(flags), (_ANY_BIT, 1, 0, _CREATES), (_RETURN, 0, 0, _ALLOW), *_any_bit(flags + 1, _SET_UID, errno.EPERM))
    for name, mode in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)):
        asked: list[Instruction] = [(_RETURN, 0, 0, _ASK)] if rules.ask else []
        on([name], *_any_bit(mode, _SET_UID, errno.EPERM), *asked)
    if rules.ask:
        on([name for name in ASKED if "chmod" not in name], (_RETURN, 0, 0, _ASK))
    if rules.namespaces:
        # Not vsock, which knows no namespaces, and none of the kernel's own.
        families = [_UNIX, _INET, _INET6, _NETLINK]
        allowed = [(_EQUAL, len(families) - place, 0, family) for place, family in enumerate(families)]
        on(["socket"], _load(0), *allowed, _refuse(errno.EACCES), (_RETURN, 0, 0, _ALLOW))
    else:
        network = [step for family in (_INET, _INET6) for step in _equal(0, family, errno.ENETUNREACH)]
        on(["socket"], *network, _refuse(errno.EACCES))
        on(["socketpair"], _load(0), (_EQUAL, 1, 0, _UNIX), _refuse(errno.EACCES), (_RETURN, 0, 0, _ALLOW))
        on(_SHARED, _refuse(errno.EPERM))
        on(_OWNERS, _refuse(errno.EPERM))
        on(_ATTRIBUTES, _refuse(errno.ENOTSUP))
        on(_ON_PROCESS, *_any_bit(0, 0xFFFFFFFF, errno.EPERM))
        on(["setpriority", "ioprio_set"], *_any_bit(1, 0xFFFFFFFF, errno.EPERM))
    if not rules.signals:
        on(["kill"], *_any_bit(0, 0xFFFFFFFF, errno.EPERM))
        on(_SIGNALS, _refuse(errno.EPERM))
    if not rules.truncate:
        on(["truncate"], _refuse(errno.EPERM))
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _load(argument: int) -> Instruction:
    """Its lower half: every value that a rule looks at has 32 bits."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _refuse(error: int) -> Instruction:
    return (_RETURN, 0, 0, 0x00050000 | error)


def _any_bit(argument: int, mask: int, error: int) -> list[Instruction]:
    return [_load(argument), (_ANY_BIT, 0, 1, mask), _refuse(error)]


def _equal(argument: int, value: int, error: int) -> list[Instruction]:
    return [_load(argument), (_EQUAL, 0, 1, value), _refuse(error)]
