"""What of this machine we may use at once: cores and memory, as its scheduler and its control groups grant them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNKNOWN = 4 << 30  # bytes, where nobody tells


def cores(root: Path = Path("/")) -> int:
    """How many cores we may keep busy: those that we may run on, and no more than a control group's quota pays for."""
    try:
        # Of what counts them, the one that knows our affinity (not on macOS and Windows).
        count = len(os.sched_getaffinity(0))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError):
        count = os.cpu_count() or 1
    return paid(count, root)


def paid(count: int, root: Path = Path("/")) -> int:
    """As many of ``count`` cores as the quotas of our control groups pay for; a part of one is one."""
    return max(1, min([count, *(math.ceil(quota) for quota in _quotas(root))]))


def available_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that can be had now without swapping, within every control group that we are in; elsewhere all physical memory."""
    system = _meminfo(root, "MemAvailable")
    whole = [system if system is not None else _physical()]
    return max(0, min([*whole, *_headrooms(root)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A control group that we are in, as a folder; ``version`` 1 or 2 of its interface."""

    folder: Path
    version: int


def _quotas(root: Path) -> Iterator[float]:
    """Cores that each group pays for."""
    for group in _groups(root, "cpu"):
        if group.version == 2:
            words = (_read(group.folder / "cpu.max") or "").split()
            quota, period = (_number(words[0]), _number(words[1])) if len(words) == 2 else (None, None)
        else:
            quota, period = (_number(_read(group.folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
        if quota is not None and period:
            yield quota / period


def _headrooms(root: Path) -> Iterator[int]:
    """Bytes that each group leaves us: its limit less what it uses and could not give back."""
    for group in _groups(root, "memory"):
        if group.version == 2:
            # Above "high" a group is throttled, beyond "max" it is killed.
            limits = [_number(_read(group.folder / name)) for name in ("memory.max", "memory.high")]
            used, cached = _number(_read(group.folder / "memory.current")), "inactive_file"
        else:
            limits = [_number(_read(group.folder / "memory.limit_in_bytes"))]
            used, cached = _number(_read(group.folder / "memory.usage_in_bytes")), "total_inactive_file"
        stated = [limit for limit in limits if limit is not None]
        if stated:
            yield min(stated) - max(0, (used or 0) - (_field(_read(group.folder / "memory.stat"), cached) or 0))


def _groups(root: Path, controller: str) -> Iterator[_Group]:
    """The groups that may limit us, from our own up to the highest that is mounted here (man 7 cgroups; none where there are none)."""
    own = {}
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            own[2] = path
        elif controller in names.split(","):
            own[1] = path
    for line in (_read(root / "proc/self/mountinfo") or "").splitlines():
        # man 5 proc_pid_mountinfo: the fields before " - " end in optional ones; after it come type, source and options.
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        version = {"cgroup": 1, "cgroup2": 2}.get(kind[0])
        if version not in own or (version == 1 and controller not in kind[2].split(",")):
            continue
        top = root / _unescaped(fields[4]).lstrip("/")
        folder = top / _below(own[version], _unescaped(fields[3]))
        while True:
            yield _Group(folder=folder, version=version)
            if folder == top:
                break
            folder = folder.parent


def _below(path: str, mounted: str) -> str:
    """Where a group is below a mount that shows ``mounted``; "" if it is elsewhere: a container sees its own group as the mount's top."""
    inner = path.removeprefix(mounted.rstrip("/"))
    if not path.startswith(mounted.rstrip("/")) or ".." in path.split("/") or not inner.startswith("/"):
        return ""
    return inner.strip("/")


def _unescaped(field: str) -> str:
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _meminfo(root: Path, name: str) -> int | None:
    value = _field(_read(root / "proc/meminfo"), f"{name}:")
    return value << 10 if value is not None else None


def _field(text: str | None, name: str) -> int | None:
    """The number beside a name, in a file of such lines."""
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == name:
            return _number(words[1])
    return None


def _number(text: str | None) -> int | None:
    """A number that limits; None for "max" and -1, which do not, and for what is no number."""
    try:
        value = int(text or "")
    except ValueError:
        return None
    return value if value >= 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _physical() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _physical_of_windows() or _UNKNOWN


def _physical_of_windows() -> int | None:
    import ctypes

    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    kilobytes = ctypes.c_ulonglong(0)
    if kernel is None or not kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return None
    return kilobytes.value << 10
