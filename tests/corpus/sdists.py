"""Source archives: tar and gzip at fault, PKG-INFO and pyproject.toml at fault, and old ones that are sound."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zlib
from collections.abc import Iterator
from functools import partial

from tests.corpus.case import Case, bad, good
from tests.corpus.wheels import UNSAFE
from tests.wheelhouse_archives import test_sdist as told
from tests.wheelhouse_archives.raw_zip import members_of, write_zip
from tests.wheelhouse_archives.test_sdist import DIR, LNK, PKG_INFO, PYPROJECT, SYM, Item, special, tar

NAME = "demo-1.0.tar.gz"


def sdists() -> Iterator[Case]:
    """All of them."""
    for label, (raw, _) in told.BAD.items():
        yield bad(
            "sdist", label, "one tree, inside one folder, the same for every reader (PEP 625, 706, 721)", partial(packed, raw), name=NAME
        )
    yield from _streams()
    yield from _headers()
    yield from _names()
    yield from _links()
    yield from _texts()
    yield from _file_names()
    yield from _zips()


def packed(raw: bytes) -> bytes:
    """gzip without a time."""
    return gzip.compress(raw, 6, mtime=0)


def _tar(*items: Item) -> bytes:
    return packed(tar(*items))


def _member(body: bytes = packed(tar())) -> tuple[bytes, bytes, bytes]:
    return body[:10], body[10:-8], body[-8:]


def _streams() -> Iterator[Case]:
    head, data, tail = _member()
    raw = tar()
    rfc = "gzip (RFC 1952)"
    for label, stream in (
        ("crc", head + data + b"\0\0\0\0" + tail[4:]),
        ("length", head + data + tail[:4] + b"\0\0\0\0"),
        ("no-tail", head + data),
        ("half-tail", head + data + tail[:4]),
        ("half", packed(raw)[:100]),
        ("head", head),
        ("junk-after", packed(raw) + b"junk"),
        ("gzip-after", packed(raw) + packed(b"more")),
        ("magic", b"\x1f\x8c" + packed(raw)[2:]),
        ("method", head[:2] + b"\x07" + head[3:] + data + tail),
        ("reserved-flags", head[:3] + b"\xe0" + head[4:] + data + tail),
        ("zlib", zlib.compress(raw)),
        ("deflate", zlib.compress(raw)[2:-4]),
        ("twice", packed(packed(raw))),
        ("zip-after", packed(raw) + write_zip(members_of({"x": b""}))),
        ("empty", b""),
        ("of-nothing", packed(b"")),
        ("of-zeros", packed(bytes(1024))),
        ("plain-tar", raw),
        ("html", b"<!DOCTYPE html><html></html>"),
    ):
        yield bad("sdist", f"stream-{label}", f"{rfc}: not one whole stream that is one tar archive", partial(bytes, stream), name=NAME)
    named = head[:3] + b"\x08" + head[4:] + b"demo-1.0.tar\0" + data + tail
    yield good("sdist", "stream-with-a-name", f"{rfc}: the name of the packed file", partial(bytes, named), name=NAME)
    parts = packed(raw[:700]) + packed(raw[700:])
    yield good("sdist", "stream-of-two-parts", f"{rfc}: a file may be of several streams (pigz, bgzip)", partial(bytes, parts), name=NAME)
    yield good(
        "sdist",
        "stream-padded",
        "zeros after the stream, as tapes and some uploads have",
        partial(bytes, packed(raw) + bytes(1000)),
        name=NAME,
    )
    yield good(
        "sdist",
        "stream-blocks",
        "zeros to a whole record after the end of the archive (POSIX)",
        partial(packed, raw + bytes(10240)),
        name=NAME,
    )
    for suffix, pack in ((".tar.bz2", bz2.compress), (".tar.xz", lzma.compress), (".tgz", packed)):
        yield good("sdist", f"old{suffix}", "an archive of before PEP 625, which pip unpacks", partial(pack, raw), name=f"demo-1.0{suffix}")
        yield bad("sdist", f"cut{suffix}", "cut off", partial(bytes, pack(raw)[:-6]), name=f"demo-1.0{suffix}")
    yield bad("sdist", "bomb", "96 MiB of zeros", partial(_bomb), name=NAME, level="should")
    yield bad(
        "sdist", "bomb-xz", "xz data that asks for a dictionary of gigabytes", partial(_greedy_xz), name="demo-1.0.tar.xz", level="should"
    )


def _bomb() -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = squeezer.compress(tar()[:-10240] if len(tar()) > 10240 else b"")
    info = tarfile.TarInfo("demo-1.0/zeros")
    info.size = 96 << 20
    out += squeezer.compress(info.tobuf(tarfile.PAX_FORMAT))
    for _ in range(96):
        out += squeezer.compress(bytes(1 << 20))
    return out + squeezer.compress(bytes(1024)) + squeezer.flush()


def _greedy_xz() -> bytes:
    return lzma.compress(tar(), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "preset": 0}])


def _block(
    name: bytes,
    *,
    kind: bytes = b"0",
    size: bytes = b"00000000000\0",
    data: bytes = b"",
    checksum: int | None = None,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    target: bytes = b"",
    spoilt: dict[int, bytes] | None = None,
) -> bytes:
    """A tar header and its data, written by hand."""
    head = bytearray(512)
    head[0:100] = name[:100].ljust(100, b"\0")
    head[100:108], head[108:116], head[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    head[124:136], head[136:148], head[148:156] = size, b"00000000000\0", b" " * 8
    head[156:157], head[157:257], head[257:265] = kind, target[:100].ljust(100, b"\0"), magic
    head[345:500] = prefix.ljust(155, b"\0")
    for start, field in (spoilt or {}).items():
        head[start : start + len(field)] = field
    head[148:156] = b"%06o\0 " % (sum(head) if checksum is None else checksum)
    return bytes(head) + data + bytes(-len(data) % 512)


def _hand(*blocks: bytes, end: bytes = bytes(1024)) -> bytes:
    """The sound files, then these blocks."""
    base = [(b"demo-1.0/PKG-INFO", PKG_INFO), (b"demo-1.0/pyproject.toml", PYPROJECT)]
    made = b"".join(_block(name, size=b"%011o\0" % len(data), data=data) for name, data in base)
    return packed(made + b"".join(blocks) + end)


def _pax(*pairs: tuple[str, str], kind: bytes = b"x") -> bytes:
    data = b""
    for key, value in pairs:
        body = f" {key}={value}\n".encode()
        length = len(body) + 1
        while length != len(body) + len(str(length)):
            length = len(body) + len(str(length))
        data += str(length).encode() + body
    return _block(b"PaxHeaders/x", kind=kind, size=b"%011o\0" % len(data), data=data)


def _headers() -> Iterator[Case]:
    posix = "POSIX pax/ustar"
    name = b"demo-1.0/x.py"
    fine = _block(name, size=b"00000000001\0", data=b"x")
    yield good("sdist", "by-hand", f"{posix}: written by hand", partial(_hand, fine), name=NAME)
    for label, blocks in (
        ("checksum", (_block(name, checksum=7),)),
        ("size-words", (_block(name, size=b"many       \0"),)),
        ("size-negative", (_block(name, size=b"\xff" * 12),)),
        ("size-huge", (_block(name, size=b"\x80" + b"\xff" * 11),)),
        ("size-beyond", (_block(name, size=b"77777777777\0"),)),
        ("size-decimal", (_block(name, size=b"00000000009\0"),)),
        ("pax-damaged", (_block(b"p", kind=b"x", size=b"00000000004\0", data=b"abcd"), fine)),
        ("pax-length", (_block(b"p", kind=b"x", size=b"00000000012\0", data=b"99 path=a\n"), fine)),
        ("pax-size", (_pax(("size", "512")), fine)),
        ("pax-size-words", (_pax(("size", "one")), fine)),
        ("pax-path-up", (_pax(("path", "demo-1.0/../../x")), fine)),
        ("pax-path-twice", (_pax(("path", "demo-1.0/a"), ("path", "demo-1.0/b")), fine)),
        ("pax-two-headers", (_pax(("path", "demo-1.0/a")), _pax(("path", "demo-1.0/b")), fine)),
        ("pax-global-path", (_pax(("path", "demo-1.0/y"), kind=b"g"), fine)),
        ("pax-global-size", (_pax(("size", "9"), kind=b"g"), fine)),
        ("pax-sparse", (_pax(("GNU.sparse.major", "1")), fine)),
        ("pax-charset", (_pax(("hdrcharset", "BINARY")), fine)),
        ("pax-nul", (_pax(("path", "demo-1.0/a\0b")), fine)),
        ("pax-huge", (_block(b"p", kind=b"x", size=b"00100000000\0"),)),
        ("pax-endless-path", (_pax(("path", "demo-1.0/" + "a/" * 60_000 + "b")), fine)),
        ("pax-endless-link", (_pax(("linkpath", "a/" * 60_000)), _block(b"demo-1.0/l", kind=b"2"))),
        (
            "gnu-endless-name",
            (_block(b"././@LongLink", kind=b"L", size=b"%011o\0" % 100_000, data=b"demo-1.0/" + b"a/" * 49_995 + b"b"), fine),
        ),
        (
            "gnu-and-pax",
            (_block(b"././@LongLink", kind=b"L", size=b"00000000013\0", data=b"demo-1.0/aa"), _pax(("path", "demo-1.0/bb")), fine),
        ),
        ("name-not-utf8", (_block(b"demo-1.0/\xff"),)),
        ("name-empty", (_block(b""),)),
        ("file-with-slash", (_block(b"demo-1.0/d/", kind=b"0", size=b"00000000001\0", data=b"x"),)),
        ("folder-with-data", (_block(b"demo-1.0/d", kind=b"5", size=b"00000000001\0", data=b"x"),)),
        ("link-with-data", (_block(b"demo-1.0/l", kind=b"2", target=b"x.py", size=b"00000000001\0", data=b"x"), fine)),
        ("prefix-up", (_block(b"x.py", prefix=b"demo-1.0/../.."),)),
        ("prefix-absolute", (_block(b"x.py", prefix=b"/etc"),)),
        ("no-end", (fine,)),
    ):
        end = b"" if label == "no-end" else bytes(1024)
        yield bad(
            "sdist",
            f"header-{label}",
            f"{posix}: a header that is damaged, or that two readers understand in two ways",
            partial(_hand, *blocks, end=end),
            name=NAME,
        )
    for field, start in (("mode", 100), ("owner", 108), ("group", 116), ("time", 136), ("device", 329)):
        for where, spoilt in (
            ("member", _block(name, spoilt={start: b"0\r0"})),
            ("header", _block(b"h", kind=b"g", spoilt={start: b"0\r0"})),
        ):
            yield bad(
                "sdist",
                f"header-{field}-of-a-{where}",
                f"{posix}: no octal number: Python's reader takes it for the archive's end, and what follows is hidden from it",
                partial(_hand, spoilt, _block(b"demo-1.0/HIDDEN.py")),
                name=NAME,
            )
    yield bad(
        "sdist", "header-global-at-the-end", f"{posix}: a header of no member", partial(_hand, fine, _block(b"h", kind=b"g")), name=NAME
    )
    for kind in b"3467SVMNDAKLxZ9":
        letter = bytes([kind])
        if letter in b"KLx":
            yield bad(
                "sdist",
                f"type-{letter.decode()}-at-the-end",
                f"{posix}: a header of no member",
                partial(_hand, _pax(("comment", "x")) if letter == b"x" else _block(b"h", kind=letter, size=b"00000000002\0", data=b"ab")),
                name=NAME,
                level="should",
            )
        else:
            yield bad(
                "sdist",
                f"type-{letter.decode()}",
                f"{posix}: a member of type {letter.decode()!r} is no file, folder or link (PEP 706)",
                partial(_hand, _block(name, kind=letter)),
                name=NAME,
            )
    yield bad(
        "sdist",
        "data-after-the-end",
        "a second archive after the end: some readers go on",
        partial(_hand, bytes(1024), _block(b"demo-1.0/HIDDEN.py")),
        name=NAME,
    )
    yield good(
        "sdist",
        "one-zero-block",
        f"{posix}: one block of zeros ends it for most readers, and nothing follows",
        partial(_hand, fine, end=bytes(512)),
        name=NAME,
    )
    yield good(
        "sdist", "v7", "a header of before ustar", partial(_hand, _block(name, magic=bytes(8), size=b"00000000001\0", data=b"x")), name=NAME
    )
    yield good(
        "sdist",
        "gnu-magic",
        "GNU tar's magic",
        partial(_hand, _block(name, magic=b"ustar  \0", size=b"00000000001\0", data=b"x")),
        name=NAME,
    )
    yield good(
        "sdist",
        "old-folder",
        "a folder of before ustar: a file of no size whose name ends in a slash",
        partial(_hand, _block(b"demo-1.0/d/", kind=b"\0", magic=bytes(8))),
        name=NAME,
    )
    yield good("sdist", "pax-same-size", "a pax size that says the same", partial(_hand, _pax(("size", "1")), fine), name=NAME)
    yield good(
        "sdist",
        "pax-global",
        "a global header with a comment, as git archive writes it",
        partial(_hand, _pax(("comment", "0" * 40), kind=b"g"), fine),
        name=NAME,
    )
    yield good(
        "sdist",
        "pax-times",
        "times and owners in a pax header",
        partial(_hand, _pax(("mtime", "1.5"), ("uname", "é"), ("SCHILY.xattr.user.x", "y")), fine),
        name=NAME,
    )
    yield good("sdist", "prefix", f"{posix}: a name in two fields", partial(_hand, _block(b"x.py", prefix=b"demo-1.0/a/b")), name=NAME)
    yield good(
        "sdist",
        "long-name",
        "GNU tar's long name",
        partial(_hand, _block(b"././@LongLink", kind=b"L", size=b"%011o\0" % 220, data=b"demo-1.0/" + b"n" * 210 + b"\0"), fine),
        name=NAME,
    )


def _names() -> Iterator[Case]:
    for label, name in UNSAFE.items():
        if "\0" in name or label.startswith("drive"):  # below a folder, a colon troubles Windows only
            continue
        yield bad(
            "sdist",
            f"name-{label}",
            "a name that leaves its folder, hides, or is not the one way to write it (PEP 706)",
            partial(_tar, (f"demo-1.0/{name}", b"")),
            name=NAME,
        )
        if not name.startswith(("a/" * 3, "./")):
            yield bad(
                "sdist",
                f"name-{label}-at-the-top",
                "a member outside of the one top folder (PEP 625)",
                partial(_tar, (name, b"")),
                name=NAME,
            )
    for label, one, two in (
        ("case", "A.py", "a.py"),
        ("content", "x.py", "x.py"),
        ("folder", "x", "x/y.py"),
        ("sharp-s", "stra\u00dfe", "STRASSE"),
    ):
        yield bad(
            "sdist",
            f"collision-{label}",
            "two members that are one path with different content",
            partial(_tar, (f"demo-1.0/{one}", b"1"), (f"demo-1.0/{two}", b"2")),
            name=NAME,
        )
    for label, name in (
        ("accent", "é.txt"),
        ("space", "a b"),
        ("windows-only", "what?.txt"),
        ("leading-space", " x"),
        ("device", "aux.c"),
        ("hidden", ".github/x"),
        ("long", "n" * 240),
    ):
        yield good(
            "sdist",
            f"name-{label}",
            "an sdist is unpacked where it is built: what other systems cannot have is shown, not refused",
            partial(_tar, (f"demo-1.0/{name}", b"")),
            name=NAME,
        )


def _links() -> Iterator[Case]:
    for label, kind, target in (
        ("absolute", SYM, "/etc/passwd"),
        ("up", SYM, "../../x"),
        ("up-far", SYM, "../" * 50),
        ("in-and-up", SYM, "demo.py/../../../x"),
        ("empty", SYM, ""),
        ("backslash", SYM, "..\\..\\x"),
        ("drive", SYM, "C:/x"),
        ("self", SYM, "link"),
        ("top", SYM, ".."),
        ("nothing", LNK, ""),
        ("hard-absolute", LNK, "/etc/passwd"),
        ("hard-up", LNK, "demo-1.0/../../x"),
        ("hard-missing", LNK, "demo-1.0/none"),
        ("hard-other-top", LNK, "other/x"),
        ("hard-folder", LNK, "demo-1.0"),
    ):
        yield bad(
            "sdist",
            f"link-{label}",
            "a link that leaves the source folder, or leads nowhere (PEP 706, CVE-2007-4559)",
            partial(_tar, special("demo-1.0/link", kind, target)),
            name=NAME,
        )
    for label, name in (("slash", "/x"), ("slashes", "//x"), ("slashes-below", "//a//b")):
        both = partial(_tar, special("demo-1.0/link", SYM, "demo.py"), (name, b""))
        yield bad("sdist", f"link-beside-{label}", "an absolute name among links: a search for its folders must end", both, name=NAME)
    chain = [special(f"demo-1.0/l{n}", SYM, f"l{n + 1}") for n in range(60)]
    yield bad(
        "sdist", "link-chain", "sixty links, one to the next (CVE-2025-4517 family)", partial(_tar, *chain), name=NAME, level="should"
    )
    many = [special(f"demo-1.0/m{n}", SYM, "demo.py") for n in range(6000)]
    yield bad("sdist", "link-many", "more links than anybody follows", partial(_tar, *many), name=NAME, level="should")
    yield bad(
        "sdist",
        "link-to-hard-link",
        "a hard link to a symbolic one",
        partial(_tar, special("demo-1.0/a", SYM, "demo.py"), special("demo-1.0/b", LNK, "demo-1.0/a")),
        name=NAME,
        level="should",
    )
    yield bad(
        "sdist",
        "link-then-file",
        "a file written through a link of the same name",
        partial(_tar, special("demo-1.0/a", SYM, "demo.py"), ("demo-1.0/a", b"x")),
        name=NAME,
    )
    for label, target in (
        ("beside", "demo.py"),
        ("dot", "./demo.py"),
        ("dangling", "not-there"),
        ("folder", "."),
        ("round", "../demo-1.0/demo.py"),
    ):
        yield good(
            "sdist",
            f"link-{label}",
            "a link inside the source folder (PEP 721)",
            partial(_tar, special("demo-1.0/link", SYM, target)),
            name=NAME,
        )
    yield good(
        "sdist", "link-hard", "a hard link to a file before it", partial(_tar, special("demo-1.0/link", LNK, "demo-1.0/demo.py")), name=NAME
    )
    yield good("sdist", "folder-modes", "folders with any mode", partial(_tar, special("demo-1.0/d", DIR, mode=0o7777)), name=NAME)


def _project(pyproject: bytes | None = PYPROJECT, pkg_info: bytes | None = PKG_INFO, *items: Item) -> bytes:
    return packed(tar(*items, pyproject=pyproject, pkg_info=pkg_info))


def _texts() -> Iterator[Case]:
    for label, text in (
        ("none", b"[[["),
        ("latin-1", b'x = "\xe9"'),
        ("nul", b'x = "\0"'),
        ("number", b"x = " + b"9" * 6000),
        ("deep", b"x = " + b"[" * 50_000),
        ("deep-tables", b"x = " + b"{a = " * 3000),
        ("dotted", b"a." * 100_000 + b"b = 1\n"),
        ("dotted-quoted", b'"a".' * 500 + b"b = 1\n"),
        ("twice", b"[build-system]\nrequires = []\n[build-system]\n"),
        ("date", b"x = 2024-02-30\n"),
        ("large", b"# " + b"x" * (3 << 20)),
        ("surrogate", b'x = "\\ud800"'),
        ("requires-text", b'[build-system]\nrequires = "setuptools"\n'),
        ("requires-numbers", b"[build-system]\nrequires = [1]\n"),
        ("no-requires", b"[build-system]\n"),
        ("requires-bad", b'[build-system]\nrequires = ["-r x"]\n'),
        ("requires-url", b'[build-system]\nrequires = ["x @ https://h/x.zip"]\n'),
        ("requires-file", b'[build-system]\nrequires = ["x @ file:///etc/x.whl"]\n'),
        ("table", b"build-system = 3\n"),
        ("backend-number", b"[build-system]\nrequires = []\nbuild-backend = 3\n"),
        ("backend-code", b'[build-system]\nrequires = []\nbuild-backend = "os;x"\n'),
        ("path-up", b'[build-system]\nrequires = []\nbackend-path = [".."]\n'),
        ("path-absolute", b'[build-system]\nrequires = []\nbackend-path = ["/"]\n'),
        ("path-windows", b'[build-system]\nrequires = []\nbackend-path = ["C:x"]\n'),
        ("path-numbers", b"[build-system]\nrequires = []\nbackend-path = [1]\n"),
        ("path-backslash", b'[build-system]\nrequires = []\nbackend-path = ["a\\\\..\\\\.."]\n'),
    ):
        yield bad(
            "sdist",
            f"pyproject-{label}",
            "pyproject.toml is TOML of bounded size and depth, its [build-system] as PEP 517 and 518 have it",
            partial(_project, text),
            name=NAME,
        )
    for label, text in (
        ("other-name", PKG_INFO.replace(b"demo", b"requests")),
        ("other-version", PKG_INFO.replace(b"1.0", b"2.0")),
        ("no-name", PKG_INFO.replace(b"Name: demo\n", b"")),
        ("empty", b""),
        ("future", PKG_INFO.replace(b"2.2", b"3.0")),
        ("two-names", PKG_INFO + b"Name: x\n"),
        ("nul", PKG_INFO + b"X: \0\n"),
        ("requires", PKG_INFO + b"Requires-Dist: ???\n"),
        ("python", PKG_INFO.replace(b">=3.8", b"three")),
        ("binary", bytes(range(256))),
        ("large", PKG_INFO + b"X: y\n" * 700_000),
    ):
        yield bad(
            "sdist",
            f"pkg-info-{label}",
            "PKG-INFO is the file's own core metadata (PEP 643)",
            partial(_project, PYPROJECT, text),
            name=NAME,
        )
    projects: tuple[tuple[str, bytes | None, list[Item]], ...] = (
        ("none", None, [("demo-1.0/setup.py", b"")]),
        ("without-build-system", b"[tool.x]\n", []),
        ("comments", b"# " + b"x.y." * 40 + b"\n" + PYPROJECT, []),
        ("crlf", PYPROJECT.replace(b"\n", b"\r\n"), []),
        ("dot", b'[build-system]\nrequires = []\nbackend-path = ["."]\nbuild-backend = "demo"\n', []),
        ("old-flit", b'[build-system]\nrequires = []\nbackend-path = "."\nbuild-backend = "demo"\n', []),
    )
    for label, written, more in projects:
        yield good("sdist", f"pyproject-{label}", "as projects have it", partial(_project, written, PKG_INFO, *more), name=NAME)
    for version in (b"1.0", b"1.2", b"2.1", b"2.4"):
        yield good(
            "sdist",
            f"pkg-info-{version.decode()}",
            "PKG-INFO of any year",
            partial(_project, PYPROJECT, PKG_INFO.replace(b"2.2", version)),
            name=NAME,
        )
    yield good(
        "sdist", "no-pkg-info", "an archive of a repository: the file name says what it is", partial(_project, PYPROJECT, None), name=NAME
    )


def _file_names() -> Iterator[Case]:
    for label, name in (
        ("suffix", "demo-1.0.rar"),
        ("none", "demo"),
        ("other", "other-1.0.tar.gz"),
        ("version", "demo-3.0.tar.gz"),
        ("Z", "demo-1.0.tar.Z"),
        ("gz", "demo-1.0.gz"),
        ("whl", "demo-1.0-py3-none-any.whl"),
    ):
        yield bad("sdist", f"file-name-{label}", "name-version.tar.gz (PEP 625), the archive's own", partial(_tar), name=name)
    for label, name in (("case", "DEMO-1.0.tar.gz"), ("url", "main.tar.gz"), ("zeros", "demo-1.0.0.tar.gz"), ("upper", "demo-1.0.TAR.GZ")):
        yield good("sdist", f"file-name-{label}", "as archives were called before PEP 625", partial(_tar), name=name)


def _zips() -> Iterator[Case]:
    files = {"demo-1.0/PKG-INFO": PKG_INFO, "demo-1.0/pyproject.toml": PYPROJECT, "demo-1.0/demo.py": b"x = 1\n"}
    plain = write_zip(members_of(files))
    yield good("sdist", "zip", "a .zip of before PEP 625", partial(bytes, plain), name="demo-1.0.zip")
    for label, data in (
        ("cut", plain[:-1]),
        ("prefix", b"x" + plain),
        ("suffix", plain + b"x"),
        ("tar", packed(tar())),
        ("link", write_zip(members_of(files, mode=0o120777))),
        ("up", write_zip(members_of({**files, "demo-1.0/../../x": b""}))),
        ("two-tops", write_zip(members_of({**files, "other/x": b""}))),
        ("twice", write_zip([*members_of(files), *members_of({"demo-1.0/demo.py": b"y"})])),
        ("empty", b"PK\5\6" + bytes(18)),
        ("count", plain[:-14] + struct.pack("<H", 9) + plain[-12:]),
    ):
        yield bad("sdist", f"zip-{label}", "a .zip is held to what a wheel's ZIP is held to", partial(bytes, data), name="demo-1.0.zip")
