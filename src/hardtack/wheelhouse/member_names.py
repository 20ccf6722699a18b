"""Which names an archive's members may have, so that they mean one file, inside the destination, on every system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

# Most names match this and nothing else needs to be asked but the device names and the length.
_PLAIN = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.+@=,~ -]*[A-Za-z0-9_+@=,~-])?)(?:/[A-Za-z0-9_.](?:[A-Za-z0-9_.+@=,~ -]*[A-Za-z0-9_+@=,~-])?)*/?"
)
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.[^/]*)?(?:/|$)", re.IGNORECASE)
# Direction marks and overrides, zero-width spaces: they make a name look like another. The joiners U+200C and U+200D belong to scripts.
_DECEPTIVE = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
_RESERVED = re.compile(r'[<>:"|?*]')
LONGEST_NAME = 4000
_LONGEST_COMPONENT, _DEEPEST = 255, 128


class NameFault(NamedTuple):
    """What is wrong with a name. ``windows_only``: other systems can have such a file."""

    reason: str
    windows_only: bool = False


def name_fault(name: str) -> NameFault | None:
    """Why a member may not be called so, or None. Directories end in "/"."""
    if len(name) <= _LONGEST_COMPONENT and _PLAIN.fullmatch(name) and "/./" not in name and "/../" not in name and not name.endswith("/."):
        return _device_fault(name) if _DEVICE.search(name) else None
    return _slow_fault(name)


def _device_fault(name: str) -> NameFault:
    return NameFault(f"{name!r} is the name of a device on Windows", windows_only=True)


def _slow_fault(name: str) -> NameFault | None:
    if not name:
        return NameFault("a member has an empty name")
    shown = repr(name) if len(name) <= 200 else repr(name[:200]) + "..."
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        return NameFault(f"{shown} has a name of {len(name)} characters")
    for character in name:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DECEPTIVE:
            return NameFault(f"{shown} holds the control or invisible character U+{ord(character):04X}")
    if name.startswith("/"):
        return NameFault(f"{shown} is an absolute path")
    if "\\" in name:
        return NameFault(f"{shown} holds a backslash, which Windows reads as a separator")
    if re.match(r"[A-Za-z]:", name):
        return NameFault(f"{shown} begins with a drive letter")
    parts = name.removesuffix("/").split("/")
    if len(parts) > _DEEPEST:
        return NameFault(f"{shown} is {len(parts)} folders deep")
    for part in parts:
        if part == "..":
            return NameFault(f"{shown} climbs out with '..'")
        if part in ("", "."):
            return NameFault(f"{shown} is not written canonically: it has an empty or '.' component")
        if len(part.encode("utf-8")) > _LONGEST_COMPONENT:
            return NameFault(f"{shown} has a component of more than {_LONGEST_COMPONENT} bytes")
    if _DEVICE.search(name):
        return _device_fault(name)
    for part in parts:
        # A space at the beginning stays: only Explorer, not Windows, takes it away.
        if part[-1] in ". ":
            return NameFault(f"{shown}: Windows drops the dot or space at the end of {part!r}", windows_only=True)
    if reserved := _RESERVED.search(name):
        return NameFault(f"{shown} holds {reserved.group()!r}, which Windows cannot have in a name", windows_only=True)
    return None


class Collision(NamedTuple):
    """Two members that are one path, on every system or (``folded``) only where case and normal form don't count."""

    first: str
    second: str
    reason: str
    folded: bool


def collisions(names: Iterable[str]) -> list[Collision]:
    """Members that cannot exist beside each other. Directories end in "/"; a file's folders are implied.

    Names that no archive may have because of their length or depth are not compared: a few of them would have millions of folders.
    """
    found: list[Collision] = []
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    explicit: set[str] = set()
    for name in names:
        if len(name) > LONGEST_NAME or name.count("/") > _DEEPEST:
            continue
        if name.endswith("/"):
            path = name[:-1]
            if path in explicit:
                found.append(Collision(path, path, "are in the archive twice", folded=False))
            explicit.add(path)
            _add_folders(path, folders, found)
            continue
        key = name.lower() if name.isascii() else fold(name)
        other = files.get(key)
        if other is None:
            files[key] = name
        else:
            reason = "are in the archive twice" if other == name else "are one file where case or normal form does not count"
            found.append(Collision(other, name, reason, folded=other != name))
        _add_folders(name.rpartition("/")[0], folders, found)
    found.extend(
        Collision(files[key], folders[key], "are a file and a folder", folded=files[key] != folders[key])
        for key in sorted(files.keys() & folders.keys())
    )
    return found


def _add_folders(path: str, folders: dict[str, str], found: list[Collision]) -> None:
    while path:
        key = path.lower() if path.isascii() else fold(path)
        other = folders.get(key)
        if other == path:
            return
        if other is None:
            folders[key] = path
        else:
            found.append(Collision(other, path, "are one folder where case or normal form does not count", folded=True))
            return
        path = path.rpartition("/")[0]


def fold(name: str) -> str:
    """What macOS and Windows compare: case folded, composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
