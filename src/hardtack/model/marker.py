"""Markers and Requires-Python, answered for a target: never with this host's values, never by a guess (PEP 508, PEP 440)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from packaging._parser import Variable
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hardtack.errors import TargetError
from hardtack.model.target import Target

# Every variable of an environment; `Marker.evaluate` takes from the host whichever of these it is not given.
ENVIRONMENT_VARIABLES = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
_PATCHED = frozenset({"python_full_version", "implementation_version"})
# Where a marker looks for text inside a version, its answer may change at any patch. No Python has had more than 25 patches.
_MINORS = range(31)
_PATCHES = range(51)


class UnanswerableMarker(TargetError):
    """A marker's answer hangs on something that the target does not state, or that means nothing there (``stated``)."""

    slug = "unanswerable-marker"

    def __init__(self, *, variable: str, target: str, marker: str, stated: bool = False) -> None:
        if variable in ENVIRONMENT_VARIABLES and not stated:
            key = variable.replace("_", "-")
            hint = f'state it in [tool.hardtack.targets.{target}]: markers = {{ {key} = "..." }}'
        else:
            hint = "what the marker says of it has no meaning here (PEP 508): mend the requirement, or override it"
        super().__init__(f"target {target} cannot answer {variable} in the marker {marker!r}", hint=hint)
        self.variable = variable
        self.target = target
        self.marker = marker


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Neither true nor false, because nothing is known of this variable or (``stated``) the comparison means nothing."""

    variable: str
    stated: bool


def holds(
    marker: Marker | None,
    target: Target,
    full_version: str,
    *,
    extra: str = "",
    extras: frozenset[str] = frozenset(),
    groups: frozenset[str] = frozenset(),
    lock_file: bool = False,
) -> bool:
    """Whether a marker is true on a target whose ``python_full_version`` is this. None is always true.

    ``extra`` is the one extra under which a Requires-Dist is looked at; ``lock_file`` instead allows ``extras`` and
    ``dependency_groups`` (PEP 751). A variable that the target does not state leaves the answer open only where the answer hangs on
    it. Raises UnanswerableMarker there, and where a comparison has no meaning.
    """
    if marker is None:
        return True
    environment: dict[str, str | frozenset[str]] = dict(target.environment)
    environment |= {"python_full_version": full_version, "python_version": _minor(full_version)}
    if target.implementation != "pypy":
        # PEP 508: implementation_version is sys.implementation.version, which for CPython is its own version.
        environment.setdefault("implementation_version", full_version)
    if lock_file:
        environment |= {"extras": extras, "dependency_groups": groups}
    else:
        environment["extra"] = extra
    # All eleven must be given, or packaging takes the missing ones from the host; the empty ones are never looked at.
    full = dict.fromkeys(ENVIRONMENT_VARIABLES, "") | environment
    answer = _ask(marker._markers, full, environment.keys())
    if isinstance(answer, _Unknown):
        raise UnanswerableMarker(variable=answer.variable, target=target.name, marker=_shown(marker), stated=answer.stated)
    return answer


def cuts(marker: Marker | None) -> frozenset[Version]:
    """The versions at which the answer may change: between two neighbours it is the same for every patch.

    An answer that changes just after 3.11.2 is cut at 3.11.3. Only final versions and pre-releases are named.
    """
    if marker is None:
        return frozenset()
    return frozenset(cut for atom in _atoms(marker._markers) for cut in _cuts_of_atom(atom))


def specifier_cuts(specifier: SpecifierSet | None) -> frozenset[Version]:
    """The versions of Python at which a Requires-Python may change its answer."""
    return _specifier_cuts(specifier) if specifier is not None else frozenset()


@lru_cache(maxsize=1024)
def _specifier_cuts(specifier: SpecifierSet) -> frozenset[Version]:
    return frozenset(cut for clause in specifier for cut in _around(clause.version, clause.operator))


def python_fits(specifier: SpecifierSet | None, full_version: str) -> bool:
    """Whether a Python of this full version satisfies a Requires-Python; None allows every Python.

    As pip and uv do, a pre-release of Python counts as the release that it leads to: 3.15.0rc1 satisfies ">=3.15".
    """
    if specifier is None:
        return True
    match = re.match(r"\d+(?:\.\d+)*", full_version)
    return specifier.contains(match.group() if match else full_version, prereleases=True)


def _minor(full_version: str) -> str:
    return ".".join(full_version.split(".")[:2])


# What packaging parses a marker into: [item, "and" or "or", item, ...], an item being another such list or (left, operator, right).
# It has no public name, and the text of a marker is no substitute: a literal with a backslash does not survive it.
_Parsed = Sequence[Any]


def _ask(parsed: _Parsed, environment: dict[str, str | frozenset[str]], known: Set[str]) -> bool | _Unknown:
    """Kleene's three-valued logic: what is unknown counts only where what is known does not settle the answer."""
    answer: bool | _Unknown = False
    for alternative in _alternatives(parsed):
        verdict: bool | _Unknown = True
        for item in alternative:
            part = _ask(item, environment, known) if isinstance(item, list) else _ask_atom(item, environment, known)
            if part is False:
                verdict = False
                break
            if isinstance(part, _Unknown) and verdict is True:
                verdict = part
        if verdict is True:
            return True
        if isinstance(verdict, _Unknown) and answer is False:
            answer = verdict
    return answer


def _alternatives(parsed: _Parsed) -> list[list[Any]]:
    """``and`` binds tighter than ``or`` (PEP 508)."""
    groups: list[list[Any]] = [[]]
    for item in parsed:
        if item == "or":
            groups.append([])
        elif item != "and":
            groups[-1].append(item)
    return groups


def _ask_atom(atom: Any, environment: dict[str, str | frozenset[str]], known: Set[str]) -> bool | _Unknown:
    variable = _variable(atom)
    if variable not in known:
        return _Unknown(variable, stated=False)
    try:
        return Marker._from_markers([atom]).evaluate(environment, context="requirement")
    except (ValueError, KeyError, AssertionError):
        # A comparison without a meaning, such as os_name ~= "posix".
        return _Unknown(variable, stated=True)


def _variable(atom: Any) -> str:
    """The name that packaging looks up: the left side if that is a variable, else the right."""
    left, _, right = atom
    return str(left.value if isinstance(left, Variable) else right.value)


def _atoms(parsed: _Parsed) -> Iterator[Any]:
    for item in parsed:
        if isinstance(item, list):
            yield from _atoms(item)
        elif not isinstance(item, str):
            yield item


def _shown(marker: Marker) -> str:
    try:
        return str(marker)
    except ValueError:  # a literal that holds both kinds of quotes
        return "(a marker that cannot be written down)"


def _cuts_of_atom(atom: Any) -> Iterator[Version]:
    left, operator, right = atom
    variable = _variable(atom)
    on_left = isinstance(left, Variable)
    literal = str(right.value if on_left else left.value)
    if variable in _PATCHED:
        if operator.value in ("in", "not in"):
            if on_left:
                yield from (cut for text in _versions_inside(literal) for cut in _around(text))
            else:
                # '"1.2" in python_full_version' looks for text inside the version.
                yield from (Version(f"3.{minor}.{patch}") for minor, patch in product(_MINORS, _PATCHES))
        else:
            yield from _around(literal, operator.value if on_left else None)
    elif variable == "python_version":
        # It is the same for every patch, so that only the beginning of a minor version counts.
        for text in re.findall(r"\d{1,4}(?:\.\d{1,4})?", literal):
            major, minor = (*(int(part) for part in text.split(".")), 0)[:2]
            yield Version(f"{major}.{minor}.0")
            yield Version(f"{major}.{minor + 1}.0")


_FULL_VERSION = re.compile(r"(?=(?P<minor>\d{1,4}\.\d{1,4})\.(?P<patch>\d{1,4})(?P<kind>a|b|rc)?(?P<number>\d{1,4})?)")


def _versions_inside(text: str) -> Iterator[str]:
    """Every full version whose text is part of this one: "3.11.12" holds 3.11.12 and 3.11.1."""
    for match in _FULL_VERSION.finditer(text):
        minor, patch, kind, number = match["minor"], match["patch"], match["kind"], match["number"]
        yield from (f"{minor}.{patch[:length]}" for length in range(1, len(patch) + 1))
        if kind and number:
            yield from (f"{minor}.{patch}{kind}{number[:length]}" for length in range(1, len(number) + 1))


def _around(text: str, operator: str | None = None) -> Iterator[Version]:
    """Where a comparison with a version may change its answer: at it, just after it, or (operator None) both."""
    try:
        version = Version(text.strip().removesuffix(".*"))
    except ValueError:
        return
    if version.epoch:
        return
    major, minor, patch = (*version.release, 0, 0)[:3]
    here = Version(f"{major}.{minor}.{patch}")
    after = Version(f"{major}.{minor}.{patch + 1}")
    next_minor = Version(f"{major}.{minor + 1}.0")
    if text.strip().endswith(".*"):
        yield from (here, after if len(version.release) > 2 else next_minor)
        return
    if version.pre:
        kind, number = version.pre
        yield Version(f"{here}{kind}{number}")
        yield Version(f"{here}{kind}{number + 1}")
    plain = version.pre is None and version.post is None and version.dev is None and version.local is None and len(version.release) <= 3
    if plain and operator in (">=", "<", "~="):
        yield here
    elif plain and operator in (">", "<="):
        yield after
    else:
        yield from (here, after)
    if operator is None:
        # Turned round, "3.11.3" ~= python_full_version compares with the variable's own minor version.
        yield Version(f"{major}.{minor}.0")
    if operator is None or (operator == "~=" and len(version.release) > 2):
        yield next_minor
