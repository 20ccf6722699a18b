"""Paths of an unpacked system: its links are followed as inside of it, so that none leads out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_LINKS = 40  # as the kernel has it


def within(root: Path, path: str) -> Path | None:
    """Where ``path`` of a system unpacked in ``root`` lies here, links followed as inside of it; None where nothing is there."""
    waiting = [part for part in reversed(path.split("/")) if part]
    here: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == ".":
            continue
        if part == "..":
            del here[-1:]  # above the root is the root
            continue
        candidate = root.joinpath(*here, part)
        try:
            if stat.S_ISLNK(candidate.lstat().st_mode):
                links += 1
                if links > _LINKS:
                    return None
                target = os.readlink(candidate)
                if target.startswith("/"):
                    here = []
                waiting += [one for one in reversed(target.split("/")) if one]
                continue
        except OSError:
            return None
        here.append(part)
    return root.joinpath(*here)


def listed(root: Path, folder: str) -> list[str]:
    """The names in a folder of the system, sorted; none where there is no such folder."""
    place = within(root, folder)
    try:
        return sorted(os.listdir(place)) if place is not None else []
    except OSError:
        return []
