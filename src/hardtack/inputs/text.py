"""Reading what a user wrote: bounded, decoded, and with the line in every complaint."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hardtack.errors import InputError
from hardtack.system.documents import toml_of

MAX_BYTES = 16 * 1024 * 1024
_LONGEST_REQUIREMENT, _DEEPEST = 16_384, 100
_LONG_NUMBER = re.compile(r"(?<![0-9A-Fa-f])[0-9]{200}")


def read_bounded(path: Path, *, where: str | None = None) -> bytes:
    """A file's bytes, if it is a file of at most 16 MiB; InputError otherwise."""
    place = where or str(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("there is no such file", where=place) from None
    except IsADirectoryError:
        raise InputError("it is a folder, not a file", where=place) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=place) from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"cannot be read: {error}", where=place) from error
    if len(data) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB, which no file of this kind is", where=place)
    return data


def parse_toml(data: bytes | str, where: str) -> dict[str, Any]:
    """A TOML document as plain values; an error names the line."""
    if isinstance(data, bytes):
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError("is not UTF-8, as TOML must be", where=f"{where}:{line}") from None
    else:
        text = data
    try:
        return toml_of(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r"\s*\(at line (\d+), column \d+\)", message)
        if found:
            raise InputError(f"is not TOML: {message[: found.start()]}", where=f"{where}:{found[1]}") from None
        raise InputError(f"is not TOML: {message}", where=f"{where}:{text.count(chr(10)) + 1}") from None


def read_toml(path: Path, *, where: str | None = None) -> dict[str, Any]:
    """A TOML file as plain values."""
    place = where or str(path)
    return parse_toml(read_bounded(path, where=place), place)


def unbounded(text: str) -> str | None:
    """Why a requirement, marker or specifier is not even read: what parses it would recurse too deeply, or fail later on its numbers."""
    if len(text) > _LONGEST_REQUIREMENT:
        return f"is longer than {_LONGEST_REQUIREMENT} characters"
    if _LONG_NUMBER.search(text):
        return "holds a number of hundreds of digits"
    if text.count("(") > _DEEPEST:
        return "is nested too deeply"
    return None


def raise_together(errors: Iterable[InputError]) -> None:
    """Raise what was collected as one error: alone as it is, several as a list. Does nothing for none."""
    found = list(errors)
    if not found:
        return
    if len(found) == 1:
        raise found[0]
    lines: list[str] = []
    hints: list[str] = []
    for error in found:
        lines.append(f"  {error}")
        if error.hint and error.hint not in hints:
            hints.append(error.hint)
    raise InputError(f"{len(found)} problems in the inputs:\n" + "\n".join(lines), hint="\n".join(hints) or None)


def shown(path: Path, base: Path | None) -> str:
    """A path as it is told to people and written to locks: relative to ``base`` where it lies inside, always with "/"."""
    if base is not None:
        try:
            return path.relative_to(base).as_posix() or "."
        except ValueError:
            pass
    return path.as_posix()


def without_login(url: str) -> str:
    """A URL without its user and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", url)
