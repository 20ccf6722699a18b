"""Wheels whose ZIP structure, names or sizes are at fault, and odd ones that are sound."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from tests.corpus.case import Case, bad, good
from tests.wheelhouse_archives.raw_zip import (
    FILENAME,
    INFO,
    WHEEL,
    Member,
    deflate,
    members_of,
    record_of,
    wheel_files,
    write_zip,
    zip64_end,
)

BODY = b"answer = 42\n" * 20
APPNOTE = "APPNOTE 6.3"
_FULL = 0xFFFFFFFF


def wheels() -> Iterator[Case]:
    """All of them."""
    yield from _headers()
    yield from _extras()
    yield from _layouts()
    yield from _coding()
    yield from _names()
    yield from _kinds()
    yield from _sizes()
    yield from _odd_and_sound()


def whole(change: Callable[[list[Member]], None] | None = None, files: dict[str, bytes] | None = None, **how: Any) -> bytes:
    """A sound wheel with a member "demo/odd.py", its members changed."""
    members = members_of(wheel_files({"demo/odd.py": BODY} if files is None else files))
    if change is not None:
        change(members)
    return write_zip(members, **how)


def _at(position: int, **fields: Any) -> Callable[[list[Member]], None]:
    def change(members: list[Member]) -> None:
        members[position] = replace(members[position], **fields)

    return change


def _extra(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


# Where a fault stands: the first member, one in the middle, the last one (RECORD).
PLACES = {"first": 0, "middle": 1, "last": -1}


def _more(*more: Member) -> Callable[[list[Member]], None]:
    def change(members: list[Member]) -> None:
        members.extend(more)

    return change


def _headers() -> Iterator[Case]:
    """Local header against central directory, field by field, member by member."""
    for place, position in PLACES.items():
        for field, value in (
            ("needed", 45),
            ("flags", 2),
            ("method", 0),
            ("time", 1),
            ("date", 1),
            ("crc", 0xDEADBEEF),
            ("packed", 1),
            ("size", 1),
            ("size", 0),
            ("name", b"demo/else.py"),
            ("name", b""),
            ("packed", _FULL),
        ):
            label = f"local-{field}-{value if isinstance(value, int) else len(value)}-{place}"
            reason = f"the {field} of the local header is not the directory's ({APPNOTE}, 4.4.1)"
            yield bad("wheel", label, reason, partial(whole, _at(position, local={field: value})), name=FILENAME)
        for field, value in (("crc", 0xDEADBEEF), ("size", 1), ("size", 1 << 20), ("method", 0), ("packed", 3)):
            yield bad(
                "wheel",
                f"both-{field}-{value}-{place}",
                f"both headers lie about the {field} ({APPNOTE}, 4.4.7 to 4.4.9)",
                partial(whole, _at(position, local={field: value}, central={field: value})),
                name=FILENAME,
            )
        for field, value in (("offset", 1), ("offset", 1 << 20), ("disk", 1), ("packed", 1 << 30)):
            yield bad(
                "wheel",
                f"central-{field}-{value}-{place}",
                f"the directory's {field} leads elsewhere ({APPNOTE}, 4.4.11, 4.4.16)",
                partial(whole, _at(position, central={field: value})),
                name=FILENAME,
            )


def _extras() -> Iterator[Case]:
    name, other = b"demo/odd.py", b"demo/0dd.py"

    def unicode_path(text: bytes, crc: int, version: int = 1) -> bytes:
        return _extra(0x7075, bytes([version]) + struct.pack("<L", crc) + text)

    crc = zlib.crc32(name)
    for header in ("local_extra", "central_extra"):
        for label, extra, reason in (
            ("unicode-path-other", unicode_path(other, crc), "Info-ZIP's Unicode Path gives the member another name (APPNOTE 4.6.9)"),
            ("unicode-path-wrong-crc", unicode_path(other, 7), "a Unicode Path that some readers obey and others don't (APPNOTE 4.6.9)"),
            ("unicode-path-version", unicode_path(name, crc, 2), "a Unicode Path of a version that nobody knows (APPNOTE 4.6.9)"),
            ("unicode-path-empty", _extra(0x7075, b""), "a Unicode Path without content (APPNOTE 4.6.9)"),
            ("unicode-path-second", unicode_path(name, crc) + unicode_path(other, crc), "the second of two Unicode Paths differs"),
            ("cut", b"UT\x09\x00\x01", "an extra field is cut off (APPNOTE 4.5.1)"),
            ("stray", b"abc", "stray bytes among the extra fields (APPNOTE 4.5.1)"),
            ("aes", _extra(0x9901, b"\x02\x00AE\x03\x08\x00"), "AES (APPNOTE, appendix E)"),
            ("strong-encryption", _extra(0x0017, b"12345678"), "strong encryption (APPNOTE 4.5.12)"),
            ("zip64-short", _extra(1, b"\0" * 4), "a zip64 field of four bytes (APPNOTE 4.5.3)"),
            ("zip64-other", _extra(1, struct.pack("<2Q", 1, 1)), "a zip64 field with other sizes (APPNOTE 4.5.3)"),
            ("zip64-twice", _extra(1, struct.pack("<2Q", len(BODY), len(deflate(BODY)))) * 2, "two zip64 fields (APPNOTE 4.5.3)"),
        ):
            yield bad("wheel", f"extra-{label}-{header[:5]}", reason, partial(whole, _at(1, **{header: extra})), name=FILENAME)
        for label, extra, reason in (
            ("unicode-path-same", unicode_path(name, crc), "a Unicode Path that says the same name"),
            ("times", b"UT\x05\0\x01abcd", "Info-ZIP's times"),
            ("owner", b"ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0", "Info-ZIP's owner"),
            ("ntfs", _extra(0x000A, b"\0" * 4 + struct.pack("<2H3Q", 1, 24, 1, 2, 3)), "NTFS times, as archivers on Windows write them"),
            ("jar", _extra(0xCAFE, b""), "the mark of a Java archive"),
            ("aligned", b"\0\0", "padding of zipalign"),
        ):
            yield good(
                "wheel",
                f"extra-{label}-{header[:5]}",
                f"{reason}: no reader takes the member for another",
                partial(whole, _at(1, **{header: extra})),
                name=FILENAME,
            )


def _layouts() -> Iterator[Case]:
    plain = whole()
    start = struct.unpack("<L", plain[-6:-2])[0]
    _, _, _, _, count, length, _, _ = struct.unpack("<4s4H2LH", plain[-22:])
    second = plain.index(b"PK\3\4", 4)
    for label, cut in (
        ("nothing-but-a-signature", 4),
        ("in-the-first-header", 20),
        ("after-the-first-member", second),
        ("before-the-directory", start),
        ("in-the-directory", start + 30),
        ("before-the-end", len(plain) - 22),
        ("in-the-end", len(plain) - 10),
        ("last-byte", len(plain) - 1),
    ):
        yield bad("wheel", f"cut-{label}", f"the file is cut off ({APPNOTE}, 4.3.6)", partial(bytes, plain[:cut]), name=FILENAME)
    for label, junk in (
        ("a-byte", b"\0"),
        ("a-line", b"\r\n"),
        ("a-block", bytes(512)),
        ("a-script", b"#!/bin/sh\nexit 0\n"),
        ("itself", plain),
    ):
        yield bad(
            "wheel",
            f"before-{label}",
            "bytes before the first member: some readers shift all offsets",
            partial(whole, prefix=junk),
            name=FILENAME,
        )
        yield bad(
            "wheel", f"prepended-{label}", "the offsets do not count what was put before", partial(junk.__add__, plain), name=FILENAME
        )
        yield bad(
            "wheel",
            f"after-{label}",
            "bytes after the end record: some readers look for the last one",
            partial(plain.__add__, junk),
            name=FILENAME,
        )
        yield bad("wheel", f"between-{label}", "bytes between directory and end record", partial(whole, between=junk), name=FILENAME)
        yield bad(
            "wheel",
            f"gap-{label}",
            "bytes between two members, which a reader of local headers sees",
            partial(whole, _at(1, after=junk)),
            name=FILENAME,
        )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, start, 0)
    yield bad("wheel", "end-in-comment", "the comment holds a second end record", partial(whole, comment=end), name=FILENAME)
    yield bad(
        "wheel",
        "end-in-comment-and-more",
        "the comment holds an end record and text",
        partial(whole, comment=end + b"text"),
        name=FILENAME,
        level="should",
    )
    yield bad(
        "wheel", "empty-end-in-comment", "an empty archive in the comment", partial(whole, comment=b"PK\5\6" + bytes(18)), name=FILENAME
    )
    for label, fields in (
        ("count-0", {"count": 0, "here": 0}),
        ("count-1", {"count": 1, "here": 1}),
        ("count-more", {"count": count + 1, "here": count + 1}),
        ("here-less", {"here": 1}),
        ("disk-1", {"disk": 1}),
        ("first-disk-1", {"first_disk": 1}),
        ("length-short", {"length": length - 46}),
        ("length-0", {"length": 0}),
        ("length-long", {"length": length + 1}),
        ("start-early", {"start": start - 1}),
        ("start-0", {"start": 0}),
        ("start-late", {"start": start + 1}),
        ("all-full", {"count": 0xFFFF, "here": 0xFFFF, "length": _FULL, "start": _FULL}),
    ):
        yield bad("wheel", f"end-{label}", f"the end record lies ({APPNOTE}, 4.3.16)", partial(whole, None, None, **fields), name=FILENAME)
    position = start + length
    for label, record in (
        ("elsewhere", zip64_end(count, length, start, position, pointer=0)),
        ("surplus", zip64_end(count, length, start, position, surplus=b"x" * 8)),
        ("other-count", zip64_end(count - 1, length, start, position)),
        ("other-start", zip64_end(count, length, 0, position)),
        ("huge", zip64_end((1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1, position)),
        ("half", zip64_end(count, length, start, position)[:40]),
    ):
        yield bad(
            "wheel",
            f"end64-{label}",
            f"the zip64 end record lies ({APPNOTE}, 4.3.14)",
            partial(whole, None, None, between=record),
            name=FILENAME,
        )
    right = zip64_end(count, length, start, position)
    yield good(
        "wheel",
        "end64",
        f"a zip64 end record that was not needed ({APPNOTE}, 4.3.14)",
        partial(whole, None, None, between=right),
        name=FILENAME,
    )
    yield good(
        "wheel",
        "end64-full",
        "every number in the zip64 end record",
        partial(whole, None, None, between=right, count=0xFFFF, here=0xFFFF, length=_FULL, start=_FULL),
        name=FILENAME,
    )
    yield good("wheel", "comment", "a comment of text (4.3.16)", partial(whole, comment=b"made by hand, " * 100), name=FILENAME)
    yield good("wheel", "comment-longest", "the longest comment there is", partial(whole, comment=b"x" * 0xFFFF), name=FILENAME)


def _streamed(members: list[Member], *, signed: bool, wide: bool, wrong: str = "", zeros: bool = True, every: bool = True) -> None:
    for position, member in enumerate(members):
        if not every and position != 1:
            continue
        packed = deflate(member.data)
        values = {"crc": zlib.crc32(member.data), "packed": len(packed), "size": len(member.data)}
        if wrong:
            values[wrong] += 1
        descriptor = (b"PK\7\x08" if signed else b"") + struct.pack("<LQQ" if wide else "<LLL", *values.values())
        local = {"crc": 0, "packed": 0, "size": 0} if zeros else {}
        members[position] = replace(member, flags=member.flags | 8, local=local, after=descriptor)


def _coding() -> Iterator[Case]:
    for signed in (True, False):
        for wide in (True, False):
            for zeros in (True, False):
                label = f"{'signed' if signed else 'bare'}-{'wide' if wide else 'narrow'}-{'zeros' if zeros else 'known'}"
                reason = f"sizes after the data, as writers to a pipe leave them ({APPNOTE}, 4.3.9)"
                yield good(
                    "wheel",
                    f"descriptor-{label}",
                    reason,
                    partial(whole, partial(_streamed, signed=signed, wide=wide, zeros=zeros)),
                    name=FILENAME,
                )
        for wrong in ("crc", "packed", "size"):
            yield bad(
                "wheel",
                f"descriptor-{wrong}-{'signed' if signed else 'bare'}",
                f"the data descriptor has another {wrong} than the directory",
                partial(whole, partial(_streamed, signed=signed, wide=False, wrong=wrong)),
                name=FILENAME,
            )
    yield bad("wheel", "descriptor-none", "flag 3 without a descriptor (4.4.4)", partial(whole, _at(1, flags=8)), name=FILENAME)
    for bit, what in (
        (0, "encrypted"),
        (5, "patch data"),
        (6, "strongly encrypted"),
        (13, "masked headers"),
        (4, "reserved"),
        (15, "reserved"),
    ):
        yield bad(
            "wheel", f"flag-{bit}", f"general purpose bit {bit}: {what} (4.4.4)", partial(whole, _at(1, flags=1 << bit)), name=FILENAME
        )
    for bit in (1, 2):
        yield good("wheel", f"flag-{bit}", "how hard the writer deflated (4.4.4)", partial(whole, _at(1, flags=1 << bit)), name=FILENAME)
    for method in (1, 6, 9, 12, 14, 93, 95, 97, 98, 99, 0xFFFF):
        yield bad(
            "wheel",
            f"method-{method}",
            f"compression method {method} (PEP 427: a wheel is readable by zipfile; pip knows 0 and 8)",
            partial(whole, _at(1, method=method, packed=b"\0" * 9)),
            name=FILENAME,
        )
    packed = deflate(BODY)
    for label, data in (
        ("nothing", b""),
        ("cut", packed[:-1]),
        ("and-more", packed + b"\0"),
        ("twice", packed * 2),
        ("zlib", zlib.compress(BODY)),
        ("raw", BODY),
        ("reserved-block", b"\x07"),
        ("of-nothing", deflate(b"")),
    ):
        yield bad(
            "wheel",
            f"stream-{label}",
            "a deflate stream that is not the member, and nothing but it (RFC 1951)",
            partial(whole, _at(1, packed=data)),
            name=FILENAME,
        )
    stored_blocks = b"".join(struct.pack("<BHH", 0, 1, 0xFFFE) + bytes([byte]) for byte in BODY) + b"\x01\0\0\xff\xff"
    yield good(
        "wheel",
        "stream-stored-blocks",
        "deflate's stored blocks, one byte in each (RFC 1951)",
        partial(whole, _at(1, packed=stored_blocks)),
        name=FILENAME,
    )
    empty = b"\0\0\0\xff\xff" * 1000 + deflate(BODY)
    yield good(
        "wheel",
        "stream-empty-blocks",
        "a thousand empty blocks before the data (RFC 1951)",
        partial(whole, _at(1, packed=empty)),
        name=FILENAME,
    )


UNSAFE = {
    "up": "../x.py",
    "up-up": "../../x.py",
    "up-in-the-middle": "a/../../x.py",
    "up-and-back": "a/../x.py",
    "dot": "./x.py",
    "inner-dot": "a/./x.py",
    "empty-part": "a//x.py",
    "absolute": "/x.py",
    "unc": "//host/x.py",
    "backslash-up": "..\\x.py",
    "backslash": "a\\x.py",
    "drive": "C:/x.py",
    "drive-relative": "C:x.py",
    "nul": "a\0.py",
    "line-feed": "a\n.py",
    "return": "a\r.py",
    "tab": "a\t.py",
    "escape": "a\x1b[2J.py",
    "delete": "a\x7f.py",
    "c1": "a\x9b.py",
    "right-to-left": "a\u202eyp.exe",
    "zero-width": "a\u200b.py",
    "mark": "\ufeffa.py",
    "line-separator": "a\u2028.py",
    "long": "x" * 256,
    "deep": "a/" * 200 + "x.py",
    "endless": "a/" * 20_000 + "x.py",
}
WINDOWS = {
    "device": "nul.py",
    "device-folder": "con/x.py",
    "device-superscript": "com\u00b9.txt",
    "trailing-dot": "a./x.py",
    "trailing-space": "a /x.py",
    "stream": "a/x.py:y",
    "question": "what?.txt",
    "star": "*.txt",
    "quote": 'a".txt',
    "pipe": "a|b",
    "less": "a<b",
}
FOLDERS = {"package": "demo/", "top": "", "data": "demo-1.0.data/data/", "scripts": "demo-1.0.data/scripts/", "metadata": f"{INFO}/"}


def _named(name: str, **how: Any) -> bytes:
    data = b"pass\n"
    members = members_of(wheel_files())
    if "\0" not in name and "\r" not in name and "\n" not in name:
        members = members_of(wheel_files({name: data}))
        return write_zip([replace(member, **how) if member.name == name.encode("utf-8", "surrogatepass") else member for member in members])
    return write_zip([*members, Member(name=name.encode(), data=data, **how)])


def _names() -> Iterator[Case]:
    for label, name in UNSAFE.items():
        for folder, prefix in FOLDERS.items():
            if prefix and (name.startswith(("/", "C:")) or label in ("endless", "mark")):
                continue
            reason = "a name that leaves its folder, hides, or is not the one way to write it (PEP 427; APPNOTE 4.4.17)"
            yield bad("wheel", f"name-{label}-{folder}", reason, partial(_named, prefix + name), name=FILENAME)
    for label, name in WINDOWS.items():
        yield bad(
            "wheel",
            f"windows-{label}",
            "a wheel for every system has a name that Windows cannot have, or has otherwise",
            partial(_named, f"demo/{name}"),
            name=FILENAME,
            level="should",
        )
    linux = "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    tagged = WHEEL.replace("py3-none-any", "cp312-cp312-manylinux_2_17_x86_64")
    for label, name in WINDOWS.items():
        files = wheel_files({f"demo/{name}": b""}, wheel=tagged)
        yield good("wheel", f"linux-{label}", "the same in a wheel that no Windows installs", partial(_plain, files), name=linux)
    nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    for label, one, two in (
        ("case", "demo/Mod.py", "demo/mod.py"),
        ("folder-case", "demo/Sub/a.py", "demo/sub/b.py"),
        ("normal-form", f"demo/{nfc}.py", f"demo/{nfd}.py"),
        ("sharp-s", "demo/stra\u00dfe.py", "demo/STRASSE.py"),
        ("file-and-folder", "demo/x", "demo/x/y.py"),
        ("long-s", "demo/\u017f.py", "demo/s.py"),
        ("scheme", "demo/x.py", "demo-1.0.data/purelib/demo/x.py"),
        ("two-schemes", "demo-1.0.data/purelib/x.py", "demo-1.0.data/platlib/x.py"),
    ):
        yield bad(
            "wheel",
            f"collision-{label}",
            f"{one!r} and {two!r} are one path on some system",
            partial(_plain, wheel_files({one: b"1", two: b"2"})),
            name=FILENAME,
        )
    for place, position in PLACES.items():
        for label, data in (("same", None), ("other", b"other")):
            yield bad(
                "wheel",
                f"twice-{label}-{place}",
                "one name twice: readers take the first or the last",
                partial(whole, partial(_doubled, position=position, data=data)),
                name=FILENAME,
            )
    for label, raw, flags in (
        ("bad-utf8", b"demo/\xff.py", 1 << 11),
        ("overlong", b"demo/\xc0\xae\xc0\xae.py", 1 << 11),
        ("surrogate", b"demo/\xed\xa0\x80.py", 1 << 11),
        ("cp437", b"demo/\x82.py", 0),
        ("unmarked-utf8", "demo/é.py".encode(), 0),
        ("empty", b"", 0),
    ):
        yield bad(
            "wheel",
            f"name-{label}",
            "a name that readers decode in two ways, or not at all (APPNOTE, appendix D)",
            partial(whole, _more(Member(name=raw, flags=flags))),
            name=FILENAME,
        )
    for label, name in (
        ("accent", "demo/é.py"),
        ("decomposed", f"demo/{nfd}.py"),
        ("japanese", "demo/データ/テスト.txt"),
        ("emoji", "demo/\U0001f600.txt"),
        ("space", "demo/a b.txt"),
        ("leading-space", "demo/ .git-blame-ignore-revs"),
        ("comma", "demo/a,b.txt"),
        ("quote", "demo/it's.txt"),
        ("hidden", "demo/.hidden/.gitkeep"),
        ("dots", "demo/...a"),
        ("braces", "demo/{{name}}.jinja"),
        ("at", "demo/a@2x+b~c.png"),
        ("longest", "demo/" + "n" * 255),
        ("joiner", "demo/a\u200db.txt"),
        ("percent", "demo/%2e%2e%2f.txt"),
        ("dash", "demo/-rf"),
    ):
        yield good("wheel", f"name-{label}", "a name that every system can have", partial(_plain, wheel_files({name: b"x"})), name=FILENAME)


def _plain(files: dict[str, bytes]) -> bytes:
    return write_zip(members_of(files))


def _doubled(members: list[Member], *, position: int, data: bytes | None) -> None:
    one = members[position]
    members.append(replace(one, data=one.data if data is None else data))


def _kinds() -> Iterator[Case]:
    for label, mode in (
        ("link", 0o120777),
        ("pipe", 0o010644),
        ("character-device", 0o020644),
        ("block-device", 0o060644),
        ("socket", 0o140755),
        ("folder", 0o040755),
        ("nonsense", 0o170000),
    ):
        for place, position in PLACES.items():
            yield bad(
                "wheel",
                f"type-{label}-{place}",
                "a wheel holds files (PEP 427); installers that obey the mode make something else",
                partial(whole, _at(position, mode=mode)),
                name=FILENAME,
            )
    for label, mode in (
        ("none", 0),
        ("setuid", 0o104755),
        ("sticky", 0o101777),
        ("unreadable", 0o100000),
        ("script", 0o100755),
        ("no-kind", 0o000644),
    ):
        yield good("wheel", f"mode-{label}", "installers use the executable bit at most", partial(whole, _at(1, mode=mode)), name=FILENAME)
    for label, folder in (
        ("plain", Member(name=b"demo/", method=0, mode=0o040755)),
        ("without-mode", Member(name=b"demo/sub/", method=0, mode=0)),
        ("deflated", Member(name=b"demo/sub/", method=8, mode=0o040755)),
    ):
        yield good(
            "wheel",
            f"folder-{label}",
            "folders as members; RECORD lists files (PEP 376)",
            partial(whole, _more(folder)),
            name=FILENAME,
        )
    for label, folder in (
        ("with-content", Member(name=b"demo/sub/", data=b"hidden", method=0)),
        ("a-link", Member(name=b"demo/sub/", method=0, mode=0o120777)),
        ("unsafe", Member(name=b"../sub/", method=0, mode=0o040755)),
        ("twice", Member(name=b"demo/", method=0)),
        ("slash", Member(name=b"/", method=0)),
    ):
        extra = [folder, folder] if label == "twice" else [folder]
        yield bad(
            "wheel",
            f"folder-{label}",
            "a folder that is more than one, or lies elsewhere",
            partial(whole, _more(*extra)),
            name=FILENAME,
        )


def _bomb(size: int, claimed: int | None = None) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, crc, block = b"", 0, bytes(1 << 20)
    for _ in range(size >> 20):
        packed += squeezer.compress(block)
        crc = zlib.crc32(block, crc)
    packed += squeezer.flush()
    fields = {"size": size if claimed is None else claimed, "crc": crc}
    return whole(_at(1, data=b"", packed=packed, local=fields, central=fields))


def _shared(count: int) -> bytes:
    members = members_of(wheel_files({"demo/odd.py": BODY}))
    first = members[0]
    return write_zip([*members, *(replace(first, name=b"demo/%d.py" % number, central={"offset": 0}) for number in range(count))])


def _deep() -> bytes:
    return write_zip([*members_of(wheel_files()), *(Member(name=b"%d/" % number + b"a/" * 16_000 + b"b") for number in range(8))])


def _sizes() -> Iterator[Case]:
    yield bad("wheel", "bomb", "128 MiB of zeros", partial(_bomb, 128 << 20), name=FILENAME, level="should")
    yield bad("wheel", "bomb-that-claims-little", "a bomb whose headers say 100 bytes", partial(_bomb, 128 << 20, 100), name=FILENAME)
    yield bad("wheel", "bomb-that-claims-much", "one MiB whose headers say 4 GiB", partial(_bomb, 1 << 20, (1 << 32) - 2), name=FILENAME)
    yield bad("wheel", "bomb-shared", "members that share their bytes", partial(_shared, 200), name=FILENAME)
    yield bad(
        "wheel", "bomb-of-folders", "names of 16,000 folders each: gigabytes for who keeps every folder of a name", _deep, name=FILENAME
    )
    rows = "".join(f"{number:x},,\n" for number in range(600_000))
    yield bad(
        "wheel",
        "bomb-of-record-lines",
        "RECORD lists 600,000 files that are not there",
        partial(_plain, wheel_files(record=rows)),
        name=FILENAME,
    )
    tags = "".join(
        "Tag: " + ".".join(f"p{line}x{part}" for part in range(30)) + "-n-" + ".".join(f"q{part}" for part in range(30)) + "\n"
        for line in range(900)
    )
    yield bad("wheel", "bomb-of-tags", "WHEEL states 810,000 tags", partial(_plain, wheel_files(wheel=WHEEL + tags)), name=FILENAME)
    folded = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nSummary: x\n" + " y\n" * 500_000
    yield bad(
        "wheel",
        "bomb-of-folded-lines",
        "a header of half a million lines: quadratic for who appends one by one",
        partial(_plain, wheel_files(metadata=folded)),
        name=FILENAME,
        level="should",
    )
    yield bad(
        "wheel",
        "wheel-file-of-megabytes",
        "a WHEEL file of 3 MiB",
        partial(_plain, wheel_files(wheel=WHEEL + "X: y\n" * 700_000)),
        name=FILENAME,
        level="should",
    )
    yield good(
        "wheel",
        "many",
        "4,000 members",
        partial(_plain, wheel_files({f"demo/m{number}/f.py": b"x" * (number % 7) for number in range(4000)})),
        name=FILENAME,
    )
    yield good(
        "wheel",
        "empty-files",
        "files without content, deflated and stored",
        partial(_plain, wheel_files({"demo/py.typed": b"", "demo/x/__init__.py": b""})),
        name=FILENAME,
    )
    yield good(
        "wheel",
        "large",
        "3 MiB that deflate well, for good reason",
        partial(_plain, wheel_files({"demo/table.csv": b"0,1,2,3\n" * 400_000})),
        name=FILENAME,
    )


def _zip64_member(members: list[Member], *, headers: tuple[str, ...]) -> None:
    extra = _extra(1, struct.pack("<2Q", len(BODY), len(deflate(BODY))))
    change: dict[str, Any] = {}
    for header in headers:
        change |= {header: {"packed": _FULL, "size": _FULL}, f"{header}_extra": extra}
    members[1] = replace(members[1], **change)


def _odd_and_sound() -> Iterator[Case]:
    for label, headers in (("local", ("local",)), ("central", ("central",)), ("both", ("local", "central"))):
        if label != "central":
            yield good(
                "wheel",
                f"zip64-{label}",
                "sizes in a zip64 field though they are small (APPNOTE 4.5.3; zipfile's force_zip64)",
                partial(whole, partial(_zip64_member, headers=headers)),
                name=FILENAME,
            )
    yield good(
        "wheel", "stored", "nothing compressed", partial(write_zip, members_of(wheel_files({"demo/odd.py": BODY}), method=0)), name=FILENAME
    )
    yield good(
        "wheel",
        "fat",
        "made on Windows: no Unix modes, no version-made-by of Unix",
        partial(write_zip, members_of(wheel_files(), mode=0, central={"made": 20})),
        name=FILENAME,
    )
    for needed in (10, 45, 46, 63):
        fields = {"needed": needed}
        yield good(
            "wheel",
            f"needed-{needed}",
            f"version needed {needed / 10}",
            partial(write_zip, members_of(wheel_files(), local=fields, central=fields)),
            name=FILENAME,
        )
    yield bad(
        "wheel",
        "needed-64",
        "a version of the format that nobody knows (4.4.3)",
        partial(write_zip, members_of(wheel_files(), local={"needed": 64}, central={"needed": 64})),
        name=FILENAME,
        level="should",
    )
    yield good(
        "wheel",
        "dates",
        "the first and last moment of MS-DOS",
        partial(whole, _at(1, local={"time": 0xBF7D, "date": 0xFF9F}, central={"time": 0xBF7D, "date": 0xFF9F})),
        name=FILENAME,
    )
    signed = wheel_files()
    signed |= {f"{INFO}/RECORD.jws": b'{"recipients": []}', f"{INFO}/RECORD.p7s": b"0"}
    yield good("wheel", "signed", "an old wheel with signatures of RECORD (PEP 427)", partial(_plain, signed), name=FILENAME)
    yield good(
        "wheel",
        "upper-case-metadata",
        "an upper-case .dist-info stem, as old tools wrote it (PEP 503)",
        partial(_plain, wheel_files(info="DEMO-1.0.dist-info")),
        name="DEMO-1.0-py3-none-any.whl",
    )
    yield good(
        "wheel",
        "vendored-metadata",
        "a .dist-info below a package",
        partial(_plain, wheel_files({"demo/_vendor/other-1.0.dist-info/METADATA": b"Name: other\n"})),
        name=FILENAME,
    )
    yield good("wheel", "order", "RECORD first, the package last", partial(_reversed), name=FILENAME)
    yield good(
        "wheel",
        "every-scheme",
        "purelib, platlib, headers, scripts, data",
        partial(
            _plain,
            wheel_files(
                {
                    f"demo-1.0.data/{scheme}/demo/x{scheme}.txt" if scheme != "scripts" else "demo-1.0.data/scripts/demo-tool": b"x"
                    for scheme in ("purelib", "platlib", "headers", "scripts", "data")
                }
            ),
        ),
        name=FILENAME,
    )
    files = wheel_files()
    yield good(
        "wheel",
        "record-crlf",
        "RECORD with lines of Windows",
        partial(
            _plain,
            {
                **files,
                f"{INFO}/RECORD": record_of({k: v for k, v in files.items() if not k.endswith("RECORD")}).replace("\n", "\r\n").encode(),
            },
        ),
        name=FILENAME,
    )


def _reversed() -> bytes:
    return write_zip(members_of(wheel_files({"demo/odd.py": BODY}))[::-1])
