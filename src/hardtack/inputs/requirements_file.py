"""Requirements and constraints files, in the whole format that pip documents."""

from __future__ import annotations

import codecs
import optparse
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name

from hardtack.errors import InputError
from hardtack.inputs.recipes import read_setting
from hardtack.inputs.requirement_line import read_line
from hardtack.inputs.text import MAX_BYTES, raise_together, read_bounded, shown, without_login
from hardtack.model.requirements import FormatControl, FoundInput, IndexOptions, Origin, RootRequirement, Scope

_MAX_DEPTH = 50
_URL = re.compile(r"^(?:https?|file):", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
# UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementsFiles:
    """What a set of requirements files says, nested ones included. ``files`` lists each file once, in the order of reading.

    ``config_settings`` stand on lines of their own.
    """

    roots: tuple[RootRequirement, ...] = ()
    constraints: tuple[RootRequirement, ...] = ()
    index_options: IndexOptions = field(default_factory=IndexOptions)
    formats: FormatControl = field(default_factory=FormatControl)
    prereleases: bool = False
    prerelease_packages: frozenset[str] = frozenset()
    prefer_binary: bool = False
    require_hashes: bool = False
    config_settings: tuple[tuple[str, str], ...] = ()
    files: tuple[FoundInput, ...] = ()
    notes: tuple[str, ...] = ()


def read_requirements_files(
    files: Sequence[tuple[Path | str, bool]],
    *,
    environment: Mapping[str, str],
    fetch_text: Callable[[str], str],
    base: Path,
    scope_of: Callable[[str], Scope] = lambda _name: "runtime",
) -> RequirementsFiles:
    """Read files (True: as constraints), and all that they name, or raise one InputError with every problem in them.

    A relative file, and a relative path in a line, is relative to ``base``; ``-r`` and ``-c`` to the file that they stand in.
    ``scope_of`` tells a file's scope by its name. ``environment`` fills ``${NAME}``; ``fetch_text`` gets http(s) URLs.
    """
    reader = _Reader(environment=environment, fetch_text=fetch_text, base=base, scope_of=scope_of)
    for location, constraint in files:
        reader.read(str(location), constraint=constraint, chain=(), asked_at=None)
    reader.check_hashes()
    raise_together(reader.errors)
    return reader.result()


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str


@dataclass(slots=True)
class _Reader:
    environment: Mapping[str, str]
    fetch_text: Callable[[str], str]
    base: Path
    scope_of: Callable[[str], Scope]
    roots: dict[tuple[str, str], RootRequirement] = field(default_factory=dict)
    constraints: dict[tuple[str, str], RootRequirement] = field(default_factory=dict)
    errors: list[InputError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: dict[tuple[str, bool], FoundInput] = field(default_factory=dict)
    index_url: str | None = None
    extra_index_urls: list[tuple[str, Origin]] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    trusted_hosts: list[str] = field(default_factory=list)
    no_index: bool = False
    index_origin: Origin | None = None
    no_binary: set[str] = field(default_factory=set)
    only_binary: set[str] = field(default_factory=set)
    prereleases: set[str] = field(default_factory=set)
    final_only: set[str] = field(default_factory=set)
    prefer_binary: bool = False
    hashes_required: bool = False
    hashes_waived: bool = False
    config_settings: list[tuple[str, str]] = field(default_factory=list)

    def read(self, location: str, *, constraint: bool, chain: tuple[str, ...], asked_at: Origin | None) -> None:
        place, path, key = self._locate(location)
        if key in chain:
            self.errors.append(InputError(f"{place} includes itself, by way of {len(chain)} file(s)", where=str(asked_at or place)))
            return
        if (key, constraint) in self.found:
            return
        if len(chain) >= _MAX_DEPTH:
            self.errors.append(InputError(f"-r and -c nest deeper than {_MAX_DEPTH} files", where=str(asked_at or place)))
            return
        try:
            text = self._text(location if path is None else None, path, place)
        except InputError as error:
            if asked_at is not None:
                error.at(str(asked_at))
            self.errors.append(error)
            return
        self.found[key, constraint] = FoundInput(
            path=path if path is not None else Path(without_login(location)),
            kind="constraints" if constraint else "requirements",
            why=f"named in {asked_at}" if asked_at else "",
        )
        for line in _lines(text):
            origin = Origin(place=place, line=line.number)
            try:
                self._take(
                    self._expand(line.text, origin), origin, location=location, path=path, constraint=constraint, chain=(*chain, key)
                )
            except InputError as error:
                self.errors.append(error if error.where else error.at(str(origin)))  # type: ignore[arg-type]
            except (ValueError, OSError) as error:  # a URL that is none, a path longer than any
                self.errors.append(InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=str(origin)))

    def _locate(self, location: str) -> tuple[str, Path | None, str]:
        """How a file is shown, its path if it is local, and what tells it from others."""
        if re.match(r"^https?:", location, re.IGNORECASE):
            return without_login(location), None, location
        path = Path(url2pathname(urlsplit(location).path) if location.lower().startswith("file:") else location)
        path = Path(os.path.normpath(self.base / path))
        return shown(path, self.base), path, str(path)

    def _text(self, url: str | None, path: Path | None, place: str) -> str:
        if path is not None:
            return _decode(read_bounded(path, where=place), place)
        assert url is not None
        text = self.fetch_text(url)
        if len(text) > MAX_BYTES:
            raise InputError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB, which no file of this kind is", where=place)
        return text.removeprefix("\ufeff")

    def _expand(self, text: str, origin: Origin) -> str:
        for name in dict.fromkeys(_VARIABLE.findall(text)):
            value = self.environment.get(name)
            if value:
                text = text.replace(f"${{{name}}}", value)
            else:
                self.notes.append(f"{origin}: ${{{name}}} is not set and stays as it is")
        return text

    def _take(self, text: str, origin: Origin, *, location: str, path: Path | None, constraint: bool, chain: tuple[str, ...]) -> None:
        words, options, rest = _parse(text)
        # The one option of pip's that works wherever it stands, behind a requirement too.
        for spelling, value in options.formats:
            pair = (self.no_binary, self.only_binary)
            _fold(value, *(pair if spelling == "--no-binary" else reversed(pair)))
        if rest:
            self.notes.append(f"{origin}: {' '.join(rest)!r} behind the options does nothing, as in pip")
        if words or options.editables:
            self._requirement(words, options, origin, path=path, constraint=constraint)
        elif options.requirements or options.constraints:
            nested = (options.requirements or options.constraints)[0]
            if path is None:
                nested = urljoin(location, nested)
            elif not _URL.match(nested):
                nested = str(Path(os.path.normpath(path.parent / nested)))
            self.read(nested, constraint=not options.requirements, chain=chain, asked_at=origin)
        else:
            self._options(options, origin, path)

    def _requirement(self, words: str, options: Any, origin: Origin, *, path: Path | None, constraint: bool) -> None:
        editable = not words
        if editable and constraint:
            raise InputError("a constraint cannot be editable", hint="leave the -e out")
        if len(options.editables) > 1 or (words and options.editables):
            raise InputError("one line holds one requirement", hint="give each -e a line of its own")
        ignored = [
            name for name, value in vars(options).items() if value and name not in ("editables", "hashes", "config_settings", "formats")
        ]
        if ignored:
            self.notes.append(f"{origin}: {', '.join(_SPELLING[name] for name in ignored)} behind a requirement does nothing, as in pip")
        folders = (self.base, *((path.parent,) if path is not None and path.parent != self.base else ()))
        line = read_line(words or options.editables[0], folders=folders, editable=editable)
        if constraint and line.requirement.extras:
            raise InputError("a constraint cannot have extras", hint=f"write {line.requirement.name} without [...]")
        stated = frozenset(_hash(value) for value in options.hashes or ())
        if stated:
            self.hashes_required = True
        if constraint and options.config_settings:
            self.notes.append(f"{origin}: --config-settings behind a constraint does nothing, as in pip")
        root = RootRequirement(
            requirement=line.requirement,
            origin=origin,
            scope=self.scope_of(origin.place),
            hashes=stated | line.hashes,
            path=line.path,
            editable=line.editable,
            config_settings=tuple(_setting(value) for value in options.config_settings or ()),
        )
        (self.constraints if constraint else self.roots)[str(origin), str(line.requirement)] = root

    def _options(self, options: Any, origin: Origin, path: Path | None) -> None:
        if options.hashes:
            self.notes.append(f"{origin}: --hash without a requirement does nothing")
        for value in options.config_settings or ():
            self.config_settings.append(_setting(value))
            self.notes.append(f"{origin}: --config-settings {value} is passed to every build (pip leaves it aside without a requirement)")
        if options.global_options or options.build_options:
            self.notes.append(f"{origin}: --global-option and --build-option are no longer known to any installer and do nothing")
        if options.require_hashes:
            self.hashes_required = True
        if options.no_require_hashes:
            self.hashes_waived = True
        self._index_options(options, origin, path)
        if options.pre:
            self.prereleases.add(":all:")
        for value in options.all_releases or ():
            _fold(value, self.prereleases, self.final_only)
        for value in options.only_final or ():
            _fold(value, self.final_only, self.prereleases)
        self.prefer_binary = self.prefer_binary or bool(options.prefer_binary)

    def _index_options(self, options: Any, origin: Origin, path: Path | None) -> None:
        if options.no_index:
            self.no_index = True
        if options.index_url:
            if self.extra_index_urls:
                earlier = ", ".join(str(place) for _url, place in self.extra_index_urls)
                self.notes.append(f"{origin}: --index-url here takes the place of --extra-index-url at {earlier}, as in pip")
            self.index_url, self.extra_index_urls = options.index_url, []
        self.extra_index_urls += [(url, origin) for url in options.extra_index_urls or ()]
        for link in options.find_links or ():
            beside = (path.parent if path is not None else self.base) / link if not urlsplit(link).scheme[1:] else None
            self.find_links.append(os.path.normpath(beside) if beside is not None and beside.exists() else link)
        self.trusted_hosts += options.trusted_hosts or ()
        if any((options.no_index, options.index_url, options.extra_index_urls, options.find_links)) and self.index_origin is None:
            self.index_origin = origin

    def check_hashes(self) -> None:
        """One --hash makes them mandatory for every requirement, wherever it stands."""
        if not self.hashes_required or self.hashes_waived:
            return
        constrained = {canonicalize_name(root.requirement.name): root for root in self.constraints.values() if root.hashes}
        for root in self.roots.values():
            by_constraint = constrained.get(canonicalize_name(root.requirement.name))
            if not root.hashes and by_constraint is None:
                what = "a folder or repository" if root.path is not None and root.path.is_dir() else str(root.requirement.name)
                self.errors.append(
                    InputError(
                        f"{what} has no --hash, but other requirements have, which makes hashes mandatory for all",
                        where=str(root.origin),
                        hint="give every requirement a --hash, or none",
                    )
                )

    def result(self) -> RequirementsFiles:
        return RequirementsFiles(
            roots=tuple(self.roots.values()),
            constraints=tuple(self.constraints.values()),
            index_options=IndexOptions(
                index_url=None if self.no_index else self.index_url,
                extra_index_urls=() if self.no_index else tuple(dict.fromkeys(url for url, _origin in self.extra_index_urls)),
                find_links=tuple(dict.fromkeys(self.find_links)),
                no_index=self.no_index,
                trusted_hosts=tuple(dict.fromkeys(self.trusted_hosts)),
                origin=self.index_origin,
            ),
            formats=FormatControl(no_binary=frozenset(self.no_binary), only_binary=frozenset(self.only_binary)),
            prereleases=":all:" in self.prereleases,
            prerelease_packages=frozenset(self.prereleases - {":all:"}),
            prefer_binary=self.prefer_binary,
            require_hashes=self.hashes_required and not self.hashes_waived,
            config_settings=tuple(self.config_settings),
            files=tuple(self.found.values()),
            notes=tuple(dict.fromkeys(self.notes)),
        )


def _decode(data: bytes, place: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _as_text(data[len(mark) :], encoding, place)
    for line in data.split(b"\n")[:2]:
        if line.startswith(b"#") and (found := _CODING.search(line)):
            return _as_text(data, found[1].decode("ascii"), place)
    return _as_text(data, "utf-8", place)


def _as_text(data: bytes, encoding: str, place: str) -> str:
    try:
        return data.decode(encoding)
    except LookupError:
        raise InputError(f"states an encoding that does not exist, {encoding!r}", where=f"{place}:1") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8, or state its encoding in the first line: # -*- coding: latin-1 -*-"
        raise InputError(f"is not {encoding} text", where=f"{place}:{line}", hint=hint) from None
    except UnicodeError as error:
        raise InputError(f"is not {encoding} text: {error}", where=place) from None


def _lines(text: str) -> Iterator[_Line]:
    """Logical lines without comments, each with the number of its first physical line. A comment ends a continuation."""
    started: int | None = None
    parts: list[str] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        commented = _COMMENT.match(raw)
        if raw.endswith("\\") and not commented:
            started = number if started is None else started
            parts.append(raw.strip("\\"))
            continue
        # A comment after a continuation is still one: the space keeps its # from touching what stands before.
        parts.append(f" {raw}" if commented else raw)
        if line := _COMMENT.sub("", "".join(parts)).strip():
            yield _Line(number if started is None else started, line)
        started, parts = None, []
    if started is not None and (line := _COMMENT.sub("", "".join(parts)).strip()):
        yield _Line(started, line)


class _OptionParser(optparse.OptionParser):
    def error(self, msg: str) -> NoReturn:
        known = ", ".join(sorted(_SPELLING.values()))
        raise InputError(msg, hint=f"options known in a requirements file: {known}")


_SPELLING = {
    "index_url": "--index-url",
    "extra_index_urls": "--extra-index-url",
    "no_index": "--no-index",
    "find_links": "--find-links",
    "trusted_hosts": "--trusted-host",
    "requirements": "--requirement",
    "constraints": "--constraint",
    "editables": "--editable",
    "no_binary": "--no-binary",
    "only_binary": "--only-binary",
    "prefer_binary": "--prefer-binary",
    "require_hashes": "--require-hashes",
    "no_require_hashes": "--no-require-hashes",
    "pre": "--pre",
    "all_releases": "--all-releases",
    "only_final": "--only-final",
    "features": "--use-feature",
    "hashes": "--hash",
    "config_settings": "--config-settings",
    "global_options": "--global-option",
    "build_options": "--build-option",
}
_SHORT = {
    "index_url": ("-i", "--pypi-url"),
    "find_links": ("-f",),
    "requirements": ("-r",),
    "constraints": ("-c",),
    "editables": ("-e",),
    "config_settings": ("-C", "--config-setting"),
}
_FLAGS = ("no_index", "prefer_binary", "require_hashes", "no_require_hashes", "pre")


def _take_format(option: optparse.Option, _text: str, value: str, parser: optparse.OptionParser) -> None:
    assert parser.values is not None
    parser.values.formats.append((option.get_opt_string(), value))


def _option_parser() -> _OptionParser:
    parser = _OptionParser(add_help_option=False, usage=optparse.SUPPRESS_USAGE)
    for name, spelling in _SPELLING.items():
        others = _SHORT.get(name, ())
        if name in _FLAGS:
            parser.add_option(*others, spelling, dest=name, action="store_true", default=False)
        elif name in ("no_binary", "only_binary"):
            # In the order of the line, for the later one wins.
            parser.add_option(spelling, dest="formats", type="string", action="callback", callback=_take_format, default=[])
        elif name == "index_url":
            parser.add_option(*others, spelling, dest=name, default=None)
        else:
            parser.add_option(*others, spelling, dest=name, action="append", default=[])
    return parser


def _parse(text: str) -> tuple[str, Any, list[str]]:
    """A logical line as the words of its requirement, its options, and what stands behind them in vain.

    Only the options are unquoted, for markers have quotes too.
    """
    words = text.split(" ")
    cut = next((position for position, word in enumerate(words) if word.startswith("-")), len(words))
    try:
        arguments = shlex.split(" ".join(words[cut:]))
    except ValueError as error:
        raise InputError(f"its quotes do not match: {error}") from None
    parser = _option_parser()
    # A fresh set of values per line: the lists of "append" are shared through the defaults otherwise.
    values = optparse.Values({name: ([] if isinstance(value, list) else value) for name, value in parser.defaults.items()})
    options, rest = parser.parse_args(arguments, values)
    return " ".join(words[:cut]).strip(), options, rest


def _hash(value: str) -> str:
    algorithm, _, digest = value.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise InputError(f"--hash {value!r}: the algorithm must be one of {', '.join(_DIGEST_LENGTHS)}", hint="write --hash=sha256:DIGEST")
    if not re.fullmatch(r"[0-9a-fA-F]+", digest) or len(digest) != length:
        raise InputError(f"--hash {value!r}: a {algorithm} digest has {length} hexadecimal digits")
    return f"{algorithm}:{digest.lower()}"


def _setting(value: str) -> tuple[str, str]:
    try:
        return read_setting(value)
    except ValueError as error:
        raise InputError(f"--config-settings {value!r} {error}") from None


def _fold(value: str, target: set[str], other: set[str]) -> None:
    """Add a comma-separated list of names to one of two sets that exclude each other; ``:all:`` and ``:none:`` begin anew."""
    if value.startswith("-"):
        raise InputError(f"{value!r} is an option, where names of packages or :all: were to stand")
    names = value.split(",")
    while ":all:" in names:
        other.clear()
        target.clear()
        target.add(":all:")
        del names[: names.index(":all:") + 1]
        if ":none:" not in names:
            return
    for name in names:
        if name == ":none:":
            target.clear()
            continue
        canonical = canonicalize_name(name)
        other.discard(canonical)
        target.add(canonical)
