"""Wheels whose RECORD, METADATA, WHEEL, entry points or file name are at fault, and old ones that are sound."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.corpus.case import Case, bad, good
from tests.wheelhouse_archives import test_wheel_content as told
from tests.wheelhouse_archives.raw_zip import FILENAME, INFO, METADATA, WHEEL, digest, members_of, record_of, wheel_files, write_zip

_HEAD = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def wheel_texts() -> Iterator[Case]:
    """All of them."""
    yield from _told()
    yield from _records()
    yield from _metadata()
    yield from _wheel_files()
    yield from _file_names()
    yield from _entry_points()


def _plain(files: dict[str, bytes]) -> bytes:
    return write_zip(members_of(files))


def _told() -> Iterator[Case]:
    """The tables of the room's own tests are part of the corpus."""
    for label, (text, _) in told.RECORDS.items():
        files = dict(told.FILES)
        if text is not None:
            files[f"{INFO}/RECORD"] = text.encode("utf-8", "surrogateescape")
        yield bad(
            "wheel",
            f"record {label}",
            "RECORD lists each file once, with its digest (PEP 376, PEP 427)",
            partial(_plain, files),
            name=FILENAME,
        )
    for label, (metadata, _) in told.METADATAS.items():
        yield bad(
            "wheel",
            f"metadata {label}",
            "METADATA as the core metadata specification has it",
            partial(_plain, wheel_files(metadata=metadata)),
            name=FILENAME,
        )
    for label, wheel in told.WHEELS.items():
        yield bad("wheel", f"wheel {label}", "WHEEL as PEP 427 has it", partial(_plain, wheel_files(wheel=wheel)), name=FILENAME)
    for label, more in told.DIST_INFOS.items():
        yield bad(
            "wheel", f"dist-info {label}", "one .dist-info, the wheel's own (PEP 427)", partial(_plain, wheel_files(more)), name=FILENAME
        )


def _with_record(text: str, more: dict[str, bytes] | None = None) -> dict[str, bytes]:
    return {**wheel_files(more, record=None, entry_points="[console_scripts]\nx = demo:main\n"), f"{INFO}/RECORD": text.encode()}


def _records() -> Iterator[Case]:
    more = {"demo-1.0.data/scripts/tool": b"#!python\n", "demo/data.bin": b"\0\1"}
    files = wheel_files(more, record=None, entry_points="[console_scripts]\nx = demo:main\n")
    right = record_of(files)
    for path, data in files.items():
        where = path.rpartition("/")[2]
        yield bad(
            "wheel",
            f"record-other-digest-of-{where}",
            "the file is not the one that RECORD vouches for (PEP 427)",
            partial(_plain, _with_record(right.replace(digest(data), digest(data + b"x")), more)),
            name=FILENAME,
        )
        yield bad(
            "wheel",
            f"record-without-{where}",
            "a file that RECORD does not list (PEP 427)",
            partial(_plain, _with_record("".join(line + "\n" for line in right.splitlines() if not line.startswith(path)), more)),
            name=FILENAME,
        )
        yield bad(
            "wheel",
            f"record-no-digest-of-{where}",
            "only RECORD and its signatures may go without a digest (PEP 427)",
            partial(_plain, _with_record(right.replace(f"{path},{digest(data)}", f"{path},"), more)),
            name=FILENAME,
        )
    ghost = digest(b"")
    for label, path in (
        ("dot", "./demo/data.bin"),
        ("slash", "demo/data.bin/"),
        ("absolute", "/demo/data.bin"),
        ("drive", "C:/demo/data.bin"),
        ("up", "demo/../../data.bin"),
        ("case", "Demo/data.bin"),
        ("percent", "demo%2Fdata.bin"),
        ("nul", "demo/data.bin\0"),
        ("space", " demo/data.bin"),
        ("space-after", "demo/data.bin "),
        ("folder", "demo/"),
        ("the-record", f"{INFO}/RECORD/"),
        ("unicode", "demo/d\u0430ta.bin"),
    ):
        yield bad(
            "wheel",
            f"record-ghost-{label}",
            "RECORD names what is not in the wheel: an uninstall would remove it (GHSA-pjjw-68hj-v9mw)",
            partial(_plain, _with_record(right + f"{path},{ghost},0\n", more)),
            name=FILENAME,
        )
    for algorithm in ("md5", "sha1", "sha224", "sha512_224", "ripemd160", "SHA256", "", "none"):
        hashed = digest(b"\0\1").replace("sha256", algorithm)
        yield bad(
            "wheel",
            f"record-by-{algorithm or 'nothing'}",
            "sha256 or better (PEP 427)",
            partial(_plain, _with_record(right.replace(digest(b"\0\1"), hashed), more)),
            name=FILENAME,
        )
    for size in ("-2", "+2", "2.0", "0x2", " 2", "\u0662", "9" * 30, "2_0"):
        yield bad(
            "wheel",
            f"record-size-{size[:6]!r}",
            "a size in bytes (PEP 376)",
            partial(_plain, _with_record(right.replace(f"{digest(bytes([0, 1]))},2", f"{digest(bytes([0, 1]))},{size}"), more)),
            name=FILENAME,
        )
    for algorithm in ("sha384", "sha512", "sha3_256", "blake2b", "blake2s"):
        yield good(
            "wheel",
            f"record-by-{algorithm}",
            "better than sha256 is fine (PEP 427)",
            partial(_plain, _with_record(right.replace(digest(b"\0\1"), digest(b"\0\1", algorithm)), more)),
            name=FILENAME,
        )
    yield good(
        "wheel",
        "record-quoted",
        "every field quoted (RFC 4180)",
        partial(
            _plain, _with_record("".join(",".join(f'"{field}"' for field in line.split(",")) + "\n" for line in right.splitlines()), more)
        ),
        name=FILENAME,
    )
    yield good(
        "wheel",
        "record-reversed",
        "its lines in another order",
        partial(_plain, _with_record("\n".join(right.splitlines()[::-1]) + "\n", more)),
        name=FILENAME,
    )
    yield good(
        "wheel", "record-no-newline", "no line end at its end", partial(_plain, _with_record(right.rstrip("\n"), more)), name=FILENAME
    )


def _metadata() -> Iterator[Case]:
    for version in ("1.0", "1.1", "1.2", "1.3", "2.0", "2.1", "2.2", "2.3", "2.4"):
        yield good(
            "wheel",
            f"metadata-{version}",
            f"Metadata-Version {version}, old or new",
            partial(_plain, wheel_files(metadata=METADATA.replace("2.1", version))),
            name=FILENAME,
        )
    for version in ("0.1", "3.0", "10.0", "2", "2.1.0", "two", "2.1x", "-1.0", "\u0662.1", "2." + "9" * 5000):
        yield bad(
            "wheel",
            f"metadata-version-{version[:8]!r}",
            "a major version that no tool of today may read (core metadata)",
            partial(_plain, wheel_files(metadata=METADATA.replace("2.1", version))),
            name=FILENAME,
        )
    for label, name in (
        ("cyrillic", "d\u0435mo"),
        ("space", "de mo"),
        ("slash", "demo/x"),
        ("dots", ".."),
        ("dash-end", "demo-"),
        ("escape", "demo\x1b[31m"),
        ("semicolon", "demo;x"),
        ("at", "demo @ file:///etc/passwd"),
        ("fullwidth", "\uff44emo"),
        ("dotless", "dem\u0131"),
    ):
        yield bad(
            "wheel",
            f"metadata-name-{label}",
            "Name is ASCII letters, digits, '.', '_' and '-' (PEP 508), and the file's",
            partial(_plain, wheel_files(metadata=METADATA.replace("Name: demo", f"Name: {name}"))),
            name=FILENAME,
        )
    for label, version in (
        ("other", "1.0.1"),
        ("local", "1.0+x"),
        ("post", "1.0-1"),
        ("epoch", "1!1.0"),
        ("dev", "1.0.dev0"),
        ("none", "latest"),
        ("inject", "1.0\n\tand more"),
        ("arabic", "\u0661.0"),
    ):
        yield bad(
            "wheel",
            f"metadata-release-{label}",
            "Version is PEP 440's, and equal to the file name's",
            partial(_plain, wheel_files(metadata=METADATA.replace("Version: 1.0", f"Version: {version}"))),
            name=FILENAME,
        )
    for label, version in (("zeros", "1.0.0"), ("v", "v1.0"), ("spaces", "  1.0  ")):
        yield good(
            "wheel",
            f"metadata-release-{label}",
            "an equal version, spelled otherwise (PEP 440)",
            partial(_plain, wheel_files(metadata=METADATA.replace("\nVersion: 1.0", f"\nVersion: {version}"))),
            name=FILENAME,
        )
    for label, requirement in (
        ("not-parsed", "foo >>> 1"),
        ("parentheses", "foo (>=1"),
        ("marker", "foo; sys_platfrom == 'x'"),
        ("marker-deep", "foo; " + "(" * 3000 + "os_name=='x'" + ")" * 3000),
        ("number", "foo>=" + "9" * 9000),
        ("name", "-foo"),
        ("option", "--index-url=http://h/"),
        ("path", "./foo"),
        ("name-unicode", "f\u043eo"),
        ("extra", "foo[a;b]"),
        ("nul", "foo\0bar"),
        ("longest", "foo" + ",".join([">=1"] * 8000)),
    ):
        yield bad(
            "wheel",
            f"requires-{label}",
            "Requires-Dist is a requirement (PEP 508)",
            partial(_plain, wheel_files(metadata=f"{_HEAD}Requires-Dist: {requirement}\n")),
            name=FILENAME,
        )
    for label, requirement in (
        ("parentheses", "foo (>=1,<2)"),
        ("url", "foo @ https://h.example/foo-1.0.tar.gz"),
        ("marker", "foo; python_version < '3' and extra == 'x'"),
        ("folded", "foo>=1,\n  <2"),
        ("arbitrary", "foo===1.0-weird"),
        ("wildcard", "foo!=1.*"),
    ):
        yield good(
            "wheel",
            f"requires-{label}",
            "a requirement of PEP 508, old style or new",
            partial(_plain, wheel_files(metadata=f"{_HEAD}Requires-Dist: {requirement}\n")),
            name=FILENAME,
        )
    for label, text in (
        ("twice", ">=3\nRequires-Python: >=2"),
        ("words", "three or later"),
        ("number", ">=" + "9" * 9000),
        ("python", "python>=3"),
        ("quoted", "'>=3'"),
    ):
        yield bad(
            "wheel",
            f"requires-python-{label}",
            "Requires-Python is one specifier set (PEP 440, 345)",
            partial(_plain, wheel_files(metadata=f"{_HEAD}Requires-Python: {text}\n")),
            name=FILENAME,
        )
    marked = partial(_plain, wheel_files(metadata="\ufeff" + METADATA))
    yield bad(
        "wheel",
        "metadata-bom",
        "the email package and uv take a line that begins with a byte order mark for no header",
        marked,
        name=FILENAME,
    )
    for label, metadata in (
        ("crlf", METADATA.replace("\n", "\r\n")),
        ("lower-case", METADATA.lower().replace("demo", "demo")),
        ("non-ascii-author", METADATA + "Author: Łukasz Ångström\n"),
        ("latin-1-author", METADATA + "Author: \udcc5\udce9\n"),
        ("description", METADATA + "\nRequires-Dist: in the text\n"),
        ("unknown-field", METADATA + "X-Whatever: yes\n"),
        ("empty-field", METADATA + "License: \n"),
        ("folded-description", METADATA + "Description: a\n        b\n        c\n"),
        ("unknown", METADATA + "Home-page: UNKNOWN\nAuthor: UNKNOWN\n"),
        ("big", METADATA + "\n" + "word " * 300_000),
        ("many-classifiers", METADATA + "Classifier: Topic :: X\n" * 2000),
    ):
        yield good(
            "wheel",
            f"metadata-{label}",
            "METADATA as some tool has written it",
            partial(_plain, wheel_files(metadata=metadata)),
            name=FILENAME,
        )


def _wheel_files() -> Iterator[Case]:
    for version in ("2.0", "1", "1.0.0", "", "one", "9" * 5000 + ".0"):
        yield bad(
            "wheel",
            f"wheel-version-{version[:6]!r}",
            "installers refuse a major version that they do not know (PEP 427)",
            partial(_plain, wheel_files(wheel=WHEEL.replace("Wheel-Version: 1.0", f"Wheel-Version: {version}"))),
            name=FILENAME,
        )
    yield good(
        "wheel",
        "wheel-version-0.1",
        "the first wheels of all; only a greater major version is refused (PEP 427)",
        partial(_plain, wheel_files(wheel=WHEEL.replace("Wheel-Version: 1.0", "Wheel-Version: 0.1"))),
        name=FILENAME,
    )
    form_feed = WHEEL.replace("Wheel-Version: 1.0\n", "Wheel-Version: 1.0\nX: y\x0cWheel-Version: 1.0\n")
    yield good(
        "wheel",
        "wheel-form-feed",
        "a form feed ends no line for the email package of installers",
        partial(_plain, wheel_files(wheel=form_feed)),
        name=FILENAME,
    )
    hidden = WHEEL.replace("Wheel-Version: 1.0\n", "X: y\x0cWheel-Version: 1.0\n")
    yield bad(
        "wheel",
        "wheel-hidden-by-a-form-feed",
        "Wheel-Version stands on no line of its own",
        partial(_plain, wheel_files(wheel=hidden)),
        name=FILENAME,
    )
    for label, tag in (
        ("windows", "py3-none-win_amd64"),
        ("mac", "cp312-cp312-macosx_11_0_arm64"),
        ("two", "py2-none-any"),
        ("arm", "py3-none-linux_aarch64"),
    ):
        yield bad(
            "wheel",
            f"wheel-tag-{label}",
            "WHEEL was made for something else than the file name claims (PEP 427)",
            partial(_plain, wheel_files(wheel=WHEEL.replace("py3-none-any", tag))),
            name=FILENAME,
            level="should",
        )
    for label, inside, outside in (
        ("manylinux", "cp312-cp312-linux_x86_64", "cp312-cp312-manylinux_2_28_x86_64"),
        ("mac", "cp312-cp312-macosx_10_9_x86_64", "cp312-cp312-macosx_11_0_x86_64"),
        ("narrowed", "py3-none-any", "py3-none-manylinux_2_17_x86_64"),
    ):
        yield good(
            "wheel",
            f"wheel-retagged-{label}",
            "renamed for a narrower or a related platform, as makers of popular wheels do",
            partial(_plain, wheel_files(wheel=WHEEL.replace("py3-none-any", inside))),
            name=f"demo-1.0-{outside}.whl",
        )


def _file_names() -> Iterator[Case]:
    files = wheel_files()
    for label, filename in (
        ("parts", "demo-1.0-none-any.whl"),
        ("seven", "demo-1.0-1-py3-none-any-x.whl"),
        ("build", "demo-1.0-x1-py3-none-any.whl"),
        ("suffix", "demo-1.0-py3-none-any.zip"),
        ("other", "other-1.0-py3-none-any.whl"),
        ("other-version", "demo-2.0-py3-none-any.whl"),
        ("epoch", "demo-1!1.0-py3-none-any.whl"),
        ("space", "demo -1.0-py3-none-any.whl"),
        ("path", "../demo-1.0-py3-none-any.whl"),
        ("nul", "demo-1.0-py3-none-any\0.whl"),
        ("tags", "demo-1.0-" + ".".join(f"a{n}" for n in range(60)) + "-none-" + ".".join(f"b{n}" for n in range(60)) + ".whl"),
        ("number", "demo-" + "9" * 900 + "-py3-none-any.whl"),
        ("escape", "demo-1.0-py3-none-any\x1b[2J.whl"),
        ("upper-suffix", "demo-1.0-py3-none-any.WHL"),
        ("empty", ".whl"),
        ("unicode", "d\u0435mo-1.0-py3-none-any.whl"),
        ("surrogate", "demo-1.0-py3-none-any\ud800.whl"),
        ("long", "demo-1.0-py3-none-" + "a" * 2000 + ".whl"),
    ):
        yield bad(
            "wheel",
            f"file-name-{label}",
            "name-version[-build]-python-abi-platform.whl (PEP 427), the wheel's own",
            partial(_plain, files),
            name=filename,
        )
    for label, filename in (
        ("build", "demo-1.0-1-py3-none-any.whl"),
        ("build-letters", "demo-1.0-20240101abc-py3-none-any.whl"),
        ("case", "Demo-1.0-py3-none-any.whl"),
        ("zero", "demo-1.0.0-py3-none-any.whl"),
        ("set", "demo-1.0-py2.py3-none-any.whl"),
    ):
        yield good("wheel", f"file-name-{label}", "as makers of wheels have spelled it", partial(_plain, files), name=filename)


def _entry_points() -> Iterator[Case]:
    for label, text in (
        ("up", "../x = m:f"),
        ("slash", "a/b = m:f"),
        ("backslash", "a\\\\b = m:f"),
        ("absolute", "/bin/sh = m:f"),
        ("python", "python3 = m:f"),
        ("python-exe", "python.exe = m:f"),
        ("device", "nul = m:f"),
        ("escape", "a\x1b = m:f"),
        ("code", "x = m:f;print(1)"),
        ("call", "x = m:f()"),
        ("module", "x = m"),
        ("spaces", "x = m n:f"),
        ("number", "x = 1m:f"),
        ("newline", "x = m:f\\nimport os"),
        ("dot", "x = m:.f"),
        ("quote", "x = m:f'''"),
        ("nothing", "x"),
        ("pipe", "CONIN$ = m:f"),
        ("stream", "a:b = m:f"),
    ):
        for group in ("console_scripts", "gui_scripts"):
            yield bad(
                "wheel",
                f"entry-{label}-{group[:3]}",
                "a script's name is a file name, its value module:function (entry points specification; CVE-2026-8643)",
                partial(_plain, wheel_files(entry_points=f"[{group}]\n{text}\n")),
                name=FILENAME,
                level="should",
            )
