"""Core metadata: a wheel's METADATA, an index's PEP 658 file, an sdist's PKG-INFO."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from hardtack.model.finding import Finding
from hardtack.wheelhouse.faults import Faults
from hardtack.wheelhouse.limits import DEFAULT, Limits
from hardtack.wheelhouse.wheel_names import version_of

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HEADERS_END = re.compile(rb"\r?\n\r?\n|\r\r|\n\r")
# Python refuses to read a number of more than 4300 digits, and does so only when versions are compared.
_LONG_NUMBER = re.compile(r"[0-9]{200}")
_LONGEST_VALUE = 16_384
_SHOWN = 300
_MOST_LINES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFacts:
    """What core metadata says. ``name`` and ``extras`` are normalised.

    ``dynamic``: the lower-case fields that a build may change (PEP 643). ``metadata_version`` is (2, 1) and the like. ``findings`` are
    warnings and notes only.
    """

    metadata_version: tuple[int, int]
    name: str
    display_name: str
    version: Version
    requires: tuple[Requirement, ...] = ()
    requires_python: SpecifierSet | None = None
    extras: frozenset[str] = frozenset()
    summary: str | None = None
    license: str | None = None
    dynamic: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def parse_metadata(data: bytes, *, filename: str, limits: Limits = DEFAULT) -> MetadataFacts | tuple[Finding, ...]:
    """The facts of a METADATA file, or every finding (at least one error) that keeps it from being read.

    ``filename`` is the wheel or sdist whose metadata this is; it is named in the findings, and not compared with them.
    """
    faults = Faults(filename)
    facts = read_metadata(data, faults, limits=limits)
    findings = faults.findings()
    if facts is None or faults.failed:
        return findings
    return MetadataFacts(
        metadata_version=facts.metadata_version,
        name=facts.name,
        display_name=facts.display_name,
        version=facts.version,
        requires=facts.requires,
        requires_python=facts.requires_python,
        extras=facts.extras,
        summary=facts.summary,
        license=facts.license,
        dynamic=facts.dynamic,
        findings=findings,
    )


def read_metadata(data: bytes, faults: Faults, *, limits: Limits = DEFAULT, what: str = "METADATA") -> MetadataFacts | None:
    """As ``parse_metadata``, with the findings put into ``faults``; None where name or version cannot be known."""
    headers = _headers(data, faults, limits, what)
    if headers is None:
        return None
    metadata_version = _metadata_version(headers.get("metadata-version", []), faults, what)
    display_name = _one(headers, "name", "Name", faults, what)
    if display_name is not None and not _NAME.fullmatch(display_name):
        faults.error("metadata", f"{what}: {_short(display_name)} is no valid Name")
        display_name = None
    version = None
    stated = _one(headers, "version", "Version", faults, what)
    if stated is not None:
        version = version_of(stated)
        if version is None:
            faults.error("metadata", f"{what}: Version {_short(stated)} is not a version of PEP 440")
    requires = _requires(headers.get("requires-dist", []), faults, what)
    requires_python = _requires_python(headers.get("requires-python", []), faults, what)
    if display_name is None or version is None or metadata_version is None:
        return None
    return MetadataFacts(
        metadata_version=metadata_version,
        name=canonicalize_name(display_name),
        display_name=display_name,
        version=version,
        requires=requires,
        requires_python=requires_python,
        extras=frozenset(canonicalize_name(extra) for extra in headers.get("provides-extra", []) if _NAME.fullmatch(extra)),
        summary=_line(headers, "summary"),
        license=_license(headers),
        dynamic=frozenset(field.lower() for field in headers.get("dynamic", [])),
    )


def _headers(data: bytes, faults: Faults, limits: Limits, what: str) -> dict[str, list[str]] | None:
    """Every header's values by its lower-case name. Only the header block is parsed: the description may be long."""
    if len(data) > limits.metadata:
        faults.error("metadata", f"{what} has {len(data)} bytes; at most {limits.metadata} are read")
        return None
    end = _HEADERS_END.search(data)
    block = data[: end.start()] if end else data
    if len(block) > limits.headers:
        faults.error("metadata", f"{what} has {len(block)} bytes of headers; at most {limits.headers} are read")
        return None
    if b"\0" in block:
        faults.error("metadata", f"{what} holds a NUL byte in its headers")
        return None
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        # Old tools wrote authors' names in other encodings; what we read of such a file is ASCII.
        text = block.decode("latin-1")
        faults.warning("metadata", f"{what} is not UTF-8 (byte {error.start})")
    stated: dict[str, list[list[str]]] = {}
    # RFC 822, as the email package reads it for pip: a line that begins with space goes on with the header before it, and the first
    # line that is neither ends the headers.
    lines = re.split(r"\r\n|\r|\n", text)
    current: list[str] | None = None
    if len(lines) > _MOST_LINES:
        faults.error("metadata", f"{what} has {len(lines)} lines of headers; at most {_MOST_LINES} are read")
        return None
    for number, line in enumerate(lines):
        if line[:1] in (" ", "\t"):
            if current is not None:
                current.append(line)
            elif line.strip():
                faults.error("metadata", f"{what}: line {number + 1} goes on with no header")
                return None
            continue
        key, colon, value = line.partition(":")
        if not colon or not key or not key.isascii() or any(character <= " " for character in key):
            if line:
                faults.warning("metadata", f"{what}: line {number + 1} is no header: {_short(line)}; what follows is not read as headers")
            break
        current = [value]
        stated.setdefault(key.lower(), []).append(current)
    return {key: ["\n".join(value).strip() for value in values] for key, values in stated.items()}


def _metadata_version(values: list[str], faults: Faults, what: str) -> tuple[int, int] | None:
    if len(values) != 1 or not (match := re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})", values[0])):
        stated = ", ".join(_short(value) for value in values) or "missing"
        faults.error("metadata", f"{what}: one Metadata-Version is required, it is {stated}")
        return None
    major, minor = int(match[1]), int(match[2])
    if major not in (1, 2):
        faults.error("metadata", f"{what}: Metadata-Version {values[0]} is of a major version that no tool of today may read")
        return None
    if (major, minor) > (2, 6):
        faults.warning("metadata", f"{what}: Metadata-Version {values[0]} is newer than what is known here (2.6)")
    return major, minor


def _one(headers: dict[str, list[str]], key: str, label: str, faults: Faults, what: str) -> str | None:
    values = headers.get(key, [])
    if len(values) == 1 and values[0]:
        return values[0]
    stated = f"stated {len(values)} times: " + ", ".join(_short(value) for value in values[:3]) if len(values) > 1 else "missing"
    faults.error("metadata", f"{what}: {label} is {stated}")
    return None


def _requires(values: list[str], faults: Faults, what: str) -> tuple[Requirement, ...]:
    found = []
    for value in values:
        requirement = requirement_of(value)
        if isinstance(requirement, str):
            faults.error(
                "metadata",
                f"{what}: Requires-Dist {_short(value)} is no requirement of PEP 508: {requirement}",
                hint="neither pip nor uv installs it; choose another version of the package",
            )
        else:
            found.append(requirement)
    return tuple(found)


def _requires_python(values: list[str], faults: Faults, what: str) -> SpecifierSet | None:
    values = [value for value in values if value]
    if not values:
        return None
    if len(values) > 1:
        faults.error("metadata", f"{what}: Requires-Python is stated {len(values)} times")
        return None
    specifiers = specifiers_of(values[0])
    if specifiers is None:
        faults.error("metadata", f"{what}: Requires-Python {_short(values[0])} is no version specifier of PEP 440")
    return specifiers


@lru_cache(maxsize=20_000)
def requirement_of(text: str) -> Requirement | str:
    """A requirement, or what is wrong with it. Callers share the object and must not change it."""
    if len(text) > _LONGEST_VALUE or _LONG_NUMBER.search(text):
        return "longer than any requirement"
    try:
        return Requirement(" ".join(text.split()))
    except InvalidRequirement as error:
        return str(error).splitlines()[0] if str(error) else "not parsed"
    except RecursionError:
        return "nested too deeply"


@lru_cache(maxsize=2_000)
def specifiers_of(text: str) -> SpecifierSet | None:
    """A specifier set, or None where the text is none. Callers share the object and must not change it."""
    if len(text) > _LONGEST_VALUE or _LONG_NUMBER.search(text):
        return None
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def _line(headers: dict[str, list[str]], key: str) -> str | None:
    for value in headers.get(key, []):
        first = value.split("\n", 1)[0].strip()
        text = "".join(character for character in first if character.isprintable())
        if text and text != "UNKNOWN":
            return text[:512]
    return None


def _license(headers: dict[str, list[str]]) -> str | None:
    stated = _line(headers, "license-expression")
    if stated is None and headers.get("license") and "\n" not in headers["license"][0]:
        stated = _line(headers, "license")
    if stated is None:
        names = [value.rpartition(" :: ")[2] for value in headers.get("classifier", []) if value.startswith("License :: OSI Approved :: ")]
        stated = ", ".join(names)[:512] or None
    return stated


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
