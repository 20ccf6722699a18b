"""Locks, manifests and requirement files that are malformed, too deep, too large, or lead out of their folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.corpus.case import Case, Kind, bad, good

SHA = "a" * 64
_WHEEL = "foo-1.0-py3-none-any.whl"


def documents() -> Iterator[Case]:
    """All of them."""
    yield from _pylocks()
    yield from _manifests()
    yield from _uv_locks()
    yield from _requirements()
    yield from _pyprojects()


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# What no TOML file of anybody may be, whatever it is for.
_TOML = {
    "none": "[[[",
    "nul": 'x = "\0"',
    "number": "x = " + "9" * 6000,
    "deep": "x = " + "[" * 50_000,
    "deep-tables": "x = " + "{a = " * 3000,
    "dotted": "a." * 100_000 + "b = 1",
    "dotted-table": "[" + "a." * 100_000 + "b]",
    "twice": "x = 1\nx = 2",
    "table-twice": "[x]\n[x]",
    "date": "x = 2024-02-30",
    "surrogate": 'x = "\\ud800"',
    "large-escape": 'x = "\\U00110000"',
}


def _pylock(
    files: str = "", *, name: str = '"foo"', version: str = '"1.0"', head: str = 'lock-version = "1.0"\ncreated-by = "x"\n', more: str = ""
) -> str:
    files = files or f'wheels = [{{ name = "{_WHEEL}", url = "https://h.example/{_WHEEL}", hashes = {{ sha256 = "{SHA}" }} }}]'
    return f"{head}{more}\n[[packages]]\nname = {name}\nversion = {version}\n{files}\n"


def _file(**change: str) -> str:
    fields = {"name": f'"{_WHEEL}"', "url": f'"https://h.example/{_WHEEL}"', "hashes": f'{{ sha256 = "{SHA}" }}', **change}
    return "wheels = [{ " + ", ".join(f"{key} = {value}" for key, value in fields.items()) + " }]"


def _pylocks() -> Iterator[Case]:
    standard = "pylock.toml (PEP 751)"
    for label, text in _TOML.items():
        yield bad("pylock", f"toml-{label}", f"{standard} is TOML, of bounded depth", partial(_text, text))
    for label, text in (
        ("version", _pylock(head='lock-version = "2.0"\ncreated-by = "x"\n')),
        ("version-none", _pylock(head='created-by = "x"\n')),
        ("version-number", _pylock(head='lock-version = 1.0\ncreated-by = "x"\n')),
        ("packages-table", 'lock-version = "1.0"\ncreated-by = "x"\n[packages]\n'),
        ("packages-number", 'lock-version = "1.0"\ncreated-by = "x"\npackages = [1]\n'),
        ("name-number", _pylock(name="3")),
        ("name-case", _pylock(name='"Foo"')),
        ("name-path", _pylock(name='"../foo"')),
        ("version-words", _pylock(version='"latest"')),
        ("marker", _pylock(more="") + "marker = \"nonsense == '1'\"\n"),
        ("python", _pylock(more='requires-python = "three"')),
        ("environments", _pylock(more='environments = ["nonsense"]')),
        ("extras", _pylock(more="extras = [1]")),
        ("file-up", _pylock(_file(name='"../x-1.0-py3-none-any.whl"'))),
        ("file-slash", _pylock(_file(name='"a/foo-1.0-py3-none-any.whl"'))),
        ("file-backslash", _pylock(_file(name='"a\\\\foo-1.0-py3-none-any.whl"'))),
        ("file-nul", _pylock(_file(name='"foo-1.0-py3-none-any\\u0000.whl"'))),
        ("size-negative", _pylock(_file(size="-1"))),
        ("size-words", _pylock(_file(size='"1"'))),
        ("digest-short", _pylock(_file(hashes='{ sha256 = "abc" }'))),
        ("digest-number", _pylock(_file(hashes="{ sha256 = 3 }"))),
        ("hashes-list", _pylock(_file(hashes="[]"))),
        ("no-address", _pylock(f'wheels = [{{ name = "{_WHEEL}", hashes = {{ sha256 = "{SHA}" }} }}]')),
        ("url-number", _pylock(_file(url="3"))),
        ("time", _pylock(_file(**{"upload-time": '"x"'}))),
    ):
        yield bad("pylock", label, f"{standard}: a value that is not of its kind, or a name that leads elsewhere", partial(_text, text))
    yield good("pylock", "plain", standard, partial(_text, _pylock()))
    yield good("pylock", "crlf", f"{standard}, lines of Windows", partial(_text, _pylock().replace("\n", "\r\n")))
    yield good("pylock", "size", f"{standard}, with a size", partial(_text, _pylock(_file(size="12"))))
    yield good("pylock", "unknown-tool", f"{standard}, with what other tools note", partial(_text, _pylock() + "[tool.other]\nx = 1\n"))


def _manifest(**change: Any) -> dict[str, Any]:
    file = {
        "filename": _WHEEL,
        "path": _WHEEL,
        "sha256": SHA,
        "size": 3,
        "name": "foo",
        "version": "1.0",
        "targets": ["t"],
        "origin": "built",
    }
    return {"schema": 1, "layout": "flat", "targets": {"t": {}}, "files": [file], "pins": [], **change}


def _manifests() -> Iterator[Case]:
    kind: Kind = "manifest"
    plain = json.dumps(_manifest())
    for label, text in (
        ("empty", ""),
        ("cut", plain[:-3]),
        ("list", "[]"),
        ("deep", "[" * 100_000),
        ("deep-objects", '{"a":' * 100_000),
        ("number", plain.replace('"size": 3', '"size": ' + "9" * 5000)),
        ("key-twice", plain.replace('"files"', '"files": [], "files"')),
        ("digest-twice", plain.replace('"sha256"', f'"sha256": "{"b" * 64}", "sha256"')),
        ("nan", plain.replace('"size": 3', '"size": NaN')),
        ("surrogate", plain.replace('"name": "foo"', '"name": "f\\ud800"')),
        ("surrogate-origin", plain.replace('"built"', '"\\udfff"')),
        ("nul-bytes", plain + "\0"),
        ("utf-16", ""),
        ("schema", plain.replace('"schema": 1', '"schema": 2')),
        ("schema-true", plain.replace('"schema": 1', '"schema": true')),
        ("schema-words", plain.replace('"schema": 1', '"schema": "1"')),
        ("millions", '{"schema": 1, "x": [' + "[]," * 3_100_000 + "0]}"),
    ):
        yield bad(
            kind,
            label,
            "wheelhouse.json: no JSON that every reader understands the same (RFC 8259), or of no known schema",
            partial(_text, text) if label != "utf-16" else partial(plain.encode, "utf-16"),
        )
    for field in ("filename", "path"):
        for label, value in (
            ("up", "../x.whl"),
            ("up-later", "a/../../x.whl"),
            ("absolute", "/etc/x.whl"),
            ("backslash", "..\\x.whl"),
            ("drive", "C:/x.whl"),
            ("nul", "a\0.whl"),
            ("empty", ""),
            ("dot", "."),
            ("number", 3),
            ("null", None),
            ("list", ["x"]),
        ):
            row = {**_manifest()["files"][0], field: value}
            yield bad(
                kind,
                f"{field}-{label}",
                "a manifest travels: its paths stay in the wheelhouse",
                partial(_text, json.dumps(_manifest(files=[row]))),
            )
    wrong: Any
    for field, values in (
        ("sha256", ("", "abc", "A" * 64, 3)),
        ("size", (-1, "3", 1.5, True, None)),
        ("targets", ("t", [1], None, ["../t"])),
        ("name", (None, 3, "../x")),
        ("version", (None, 3)),
        ("origin", (None, 3)),
        ("hash-source", ("nobody", 3)),
        ("build", (3, [], {})),
    ):
        for number, wrong in enumerate(values):
            yield bad(
                kind,
                f"{field}-{number}",
                f"{field} of a file is {wrong!r}",
                partial(_text, json.dumps(_manifest(files=[{**_manifest()["files"][0], field: wrong}]))),
            )
    for field, broken in (
        ("layout", "nested"),
        ("layout", 3),
        ("targets", []),
        ("targets", {"../t": {}}),
        ("targets", {"t": 3}),
        ("files", {}),
        ("files", [3]),
        ("pins", "x"),
        ("pins", [{"target": "t"}]),
        ("roots", [3]),
        ("gaps", 3),
        ("generated", {"../x": SHA}),
        ("generated", {"x": "y"}),
        ("leftovers", {"/x": SHA}),
        ("waivers", [{"kind": "x"}]),
        ("skews", [{"name": 3}]),
        ("sources", [{"filename": "x"}]),
        ("project", 3),
    ):
        yield bad(
            kind, f"{field}-{str(broken)[:24]}", f"{field} is {str(broken)[:40]}", partial(_text, json.dumps(_manifest(**{field: broken})))
        )
    yield good(kind, "plain", "as hardtack writes it", partial(_text, plain))
    yield good(
        kind,
        "unknown-fields",
        "as a newer hardtack of the same schema may write it",
        partial(_text, json.dumps(_manifest(more={"x": [1]}))),
    )
    yield good(kind, "astral", "characters beyond the first plane", partial(_text, json.dumps(_manifest(project="\U0001f600"))))


def _uv_locks() -> Iterator[Case]:
    for label, text in _TOML.items():
        yield bad("uv.lock", f"toml-{label}", "a uv.lock is TOML, of bounded depth", partial(_text, text))
    for label, text in (
        ("package-number", "package = 3"),
        ("package-numbers", "package = [3]"),
        ("no-name", "[[package]]\nversion = '1'"),
        ("dependencies-number", "[[package]]\nname = 'a'\ndependencies = 3"),
        ("dependency-number", "[[package]]\nname = 'a'\ndependencies = [3]"),
        ("dependency-no-name", "[[package]]\nname = 'a'\ndependencies = [{version = '1'}]"),
        ("extras-number", "[[package]]\nname = 'a'\noptional-dependencies = 3"),
        ("name-list", "[[package]]\nname = []\n"),
    ):
        yield bad("uv.lock", label, "what stands where a uv.lock has a package is none", partial(_text, text))
    yield good(
        "uv.lock",
        "plain",
        "a uv.lock",
        partial(
            _text, "version = 1\n[[package]]\nname = 'a'\nversion = '1'\ndependencies = [{name = 'b', marker = \"os_name == 'nt'\"}]\n"
        ),
    )


def _requirements() -> Iterator[Case]:
    for label, data in (
        ("nonsense", b"foo >>> 1\n"),
        ("nul", b"foo\0bar\n"),
        ("number", b"foo>=" + b"9" * 9000 + b"\n"),
        ("itself", b"-r requirements.txt\n"),
        ("missing", b"-r not-there.txt\n"),
        ("folder", b"-r .\n"),
        ("option", b"--no-such-option\n"),
        ("hash", b"foo==1 --hash=sha256:abc\n"),
        ("hash-md5", b"foo==1 --hash=md5:" + b"a" * 32 + b"\n"),
        ("marker", b"foo; nonsense == '1'\n"),
        ("marker-deep", b"foo; " + b"(" * 5000 + b"os_name=='x'" + b")" * 5000 + b"\n"),
        ("large", b"# " + b"x" * (17 << 20)),
        ("url", b"foo @ http://[\n"),
        ("path", b"./not-there.whl\n"),
        ("path-endless", b"./" + b"9" * 5000 + b"\n"),
        ("links-brackets", b"--find-links http://[x\n"),
        ("links-endless", b"--find-links " + b"9" * 5000 + b"\n"),
        ("url-brackets", b"http://[x/foo-1.zip\n"),
        ("editable-brackets", b"-e git+http://[x\n"),
        ("constraints-brackets", b"-c file://[x\n"),
        ("editable", b"-e\n"),
        ("name", b"f\xd0\xbeo\n"),
        ("script", b"#!/bin/sh\nexit 0\n"),
        ("html", b"<!DOCTYPE html>\n<html></html>\n"),
        ("zip", b"PK\3\4\x14\0\0\0"),
        ("device", b"-r /dev/zero\n"),
        ("quote", b'foo==1 --config-settings="x\n'),
        ("utf-16-odd", b"\xff\xfef\0o"),
        ("bad-utf8", b"caf\xe9\xff==1\n"),
        ("two", b"foo bar\n"),
    ):
        yield bad(
            "requirements",
            label,
            "a requirements file as pip documents it: what it cannot read is refused with its line",
            partial(bytes, data),
            name="requirements.txt",
        )
    for label, data in (
        ("plain", b"foo==1.0\n"),
        ("crlf", b"foo==1.0\r\n"),
        ("bom", b"\xef\xbb\xbffoo==1.0\n"),
        ("utf-16", "foo==1.0\n".encode("utf-16")),
        ("comments", b"# caf\xc3\xa9\nfoo==1.0 # x\n\n"),
        ("continued", b"foo\\\n==1.0\n"),
        ("no-newline", b"foo==1.0"),
        ("hash", b"foo==1.0 --hash=sha256:" + b"a" * 64 + b"\n"),
        ("many", b"".join(b"foo%d\n" % number for number in range(3000))),
    ):
        yield good("requirements", label, "a requirements file as pip documents it", partial(bytes, data), name="requirements.txt")


def _pyprojects() -> Iterator[Case]:
    for label, text in _TOML.items():
        yield bad("pyproject", f"toml-{label}", "pyproject.toml is TOML, of bounded depth", partial(_text, text))
    for label, text in (
        ("dependency", '[project]\nname = "x"\nversion = "1"\ndependencies = ["foo >>> 1"]\n'),
        ("dependency-number", '[project]\nname = "x"\nversion = "1"\ndependencies = ["foo>=' + "9" * 9000 + '"]\n'),
        ("dependencies-text", '[project]\nname = "x"\nversion = "1"\ndependencies = "foo"\n'),
        ("python", '[project]\nname = "x"\nversion = "1"\nrequires-python = "three"\n'),
        ("groups-circle", '[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}]\n'),
        ("group-number", "[dependency-groups]\na = [3]\n"),
    ):
        yield bad("pyproject", label, "a project's metadata (PEP 621, 735)", partial(_text, text))
    yield good(
        "pyproject", "plain", "a project (PEP 621)", partial(_text, '[project]\nname = "x"\nversion = "1"\ndependencies = ["foo>=1"]\n')
    )
