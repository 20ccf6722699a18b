"""The filter does what its rules say, on both architectures: its program is run by a small machine here, by the kernel elsewhere."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from hardtack.building.sandbox_syscalls import ARCHITECTURES, CALLS, Rules, compile_filter, number

MACHINES = sorted(ARCHITECTURES)
NAMESPACES = Rules(namespaces=True)
LANDLOCK = Rules(namespaces=False, ask=True)
OLD = Rules(namespaces=False, ask=True, signals=False, truncate=False)


def decide(program: bytes, call: int, *arguments: int, audit: int) -> int:
    """What the kernel would answer: seccomp_data and classic BPF, as seccomp(2) and the kernel's networking/filter.rst tell."""
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", call, audit, 0, *words)
    accumulator, place = 0, 0
    while True:
        code, yes, no, value = struct.unpack_from("<HBBI", program, 8 * place)
        place += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            held = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            place += yes if held else no


def answer(machine: str, rules: Rules, name: str, *arguments: int) -> str | int:
    """ "allow", "ask" or the error's number."""
    call = number(machine, name)
    if call is None:
        pytest.skip(f"{machine} has no {name}")
    value = decide(compile_filter(machine, rules), call, *arguments, audit=ARCHITECTURES[machine][0])
    return {0x7FFF0000: "allow", 0x7FC00000: "ask"}.get(value, value & 0xFFFF if value >> 16 == 5 else f"{value:#x}")


EVERYWHERE: list[tuple[str, tuple[int, ...], str | int]] = [
    ("ptrace", (), errno.EPERM),
    ("mount", (), errno.EPERM),
    ("keyctl", (), errno.EPERM),
    ("bpf", (), errno.EPERM),
    ("unshare", (), errno.EPERM),
    ("io_uring_setup", (), errno.EPERM),
    ("clone3", (), errno.ENOSYS),
    ("openat2", (), errno.ENOSYS),
    ("clone", (0x10000000 | 17,), errno.EPERM),
    ("clone", (0x40000000,), errno.EPERM),
    ("clone", (17,), "allow"),
    ("clone", (0x3D0F00,), "allow"),  # a thread
    ("openat", (0, 0, 0x41, 0o4755), errno.EPERM),
    ("openat", (0, 0, 0x41, 0o644), "allow"),
    ("openat", (0, 0, 0x0, 0o4755), "allow"),  # makes nothing: the mode is not read
    ("mknodat", (0, 0, 0o20666), errno.EPERM),
    ("mknodat", (0, 0, 0o60666), errno.EPERM),
    ("mknodat", (0, 0, 0o10666), "allow"),
    ("fchmodat", (0, 0, 0o4755), errno.EPERM),
    ("fchmod", (0, 0o4755), errno.EPERM),
    ("ioctl", (0, 0x5412), errno.EPERM),
    ("ioctl", (0, 0x5401), "allow"),
    ("socket", (40, 1), errno.EACCES),
    ("socket", (17, 3), errno.EACCES),
]
CASES: list[tuple[Rules, str, tuple[int, ...], str | int]] = [
    *((rules, *case) for rules in (NAMESPACES, LANDLOCK, OLD) for case in EVERYWHERE),
    (NAMESPACES, "socket", (2, 1), "allow"),
    (NAMESPACES, "socket", (1, 1), "allow"),
    (NAMESPACES, "fchmodat", (0, 0, 0o755), "allow"),
    (NAMESPACES, "shmget", (), "allow"),
    (LANDLOCK, "socket", (2, 1), errno.ENETUNREACH),
    (LANDLOCK, "socket", (10, 1), errno.ENETUNREACH),
    (LANDLOCK, "socket", (1, 1), errno.EACCES),
    (LANDLOCK, "socketpair", (1, 1), "allow"),
    (LANDLOCK, "socketpair", (2, 1), errno.EACCES),
    (LANDLOCK, "fchmodat", (0, 0, 0o755), "ask"),
    (LANDLOCK, "fchmod", (3, 0o755), "ask"),
    (LANDLOCK, "utimensat", (), "ask"),
    (LANDLOCK, "fchownat", (), errno.EPERM),
    (LANDLOCK, "setxattr", (), errno.ENOTSUP),
    (LANDLOCK, "shmget", (), errno.EPERM),
    (LANDLOCK, "prlimit64", (0, 7), "allow"),
    (LANDLOCK, "prlimit64", (99, 7), errno.EPERM),
    (LANDLOCK, "setpriority", (0, 99), errno.EPERM),
    (LANDLOCK, "kill", (99, 9), "allow"),  # Landlock's own scope sees to it
    (LANDLOCK, "truncate", (), "allow"),
    (OLD, "kill", (99, 9), errno.EPERM),
    (OLD, "kill", (0xFFFFFFFF, 9), errno.EPERM),
    (OLD, "kill", (0, 9), "allow"),
    (OLD, "tgkill", (99, 99, 9), errno.EPERM),
    (OLD, "truncate", (), errno.EPERM),
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("rules", "name", "arguments", "expected"), CASES)
def test_a_call_is_answered(machine: str, rules: Rules, name: str, arguments: tuple[int, ...], expected: str | int) -> None:
    assert answer(machine, rules, name, *arguments) == expected


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rules", [NAMESPACES, LANDLOCK, OLD])
def test_calls_of_another_architecture_or_of_the_future_do_not_exist(machine: str, rules: Rules) -> None:
    program = compile_filter(machine, rules)
    absent = 0x00050000 | errno.ENOSYS
    assert decide(program, 1, audit=0x40000003) == absent  # i386
    for call in (470, 0x40000000 | 41, 0xFFFFFFFF):  # newer ones, x32's socket
        assert decide(program, call, audit=ARCHITECTURES[machine][0]) == absent


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rules", [NAMESPACES, LANDLOCK, OLD])
def test_the_program_is_one_that_the_kernel_takes(machine: str, rules: Rules) -> None:
    program = compile_filter(machine, rules)
    assert len(program) % 8 == 0
    assert len(program) // 8 <= 4096
    for call in range(470):
        decide(program, call, audit=ARCHITECTURES[machine][0])  # ends, within the program


HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    stated = {name: int(digits) for name, digits in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text())}
    known = {name: number(machine, name) for name in CALLS}
    assert len(stated.keys() & known.keys()) > 80
    assert {name: call for name, call in known.items() if name in stated and stated[name] != call} == {}
