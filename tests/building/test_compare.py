"""Two archives are compared down to the last byte, and what is told of them is short and says where to look."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.building.compare import MemberDifference, compare_wheels
from tests.building.compiled import needs_compiler

INFO = "mini-1.0.dist-info"
PYC = b"\xa7\r\r\n\0\0\0\0"  # how a compiled module begins
DATE = (2026, 11, 20, 12, 0, 0)

Change = Callable[[zipfile.ZipInfo], None]


def wheel(path: Path, members: Mapping[str, bytes | str], change: Change | None = None, comment: bytes = b"") -> Path:
    """An archive made by the standard library alone, every field of every member stated."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            if change is not None:
                change(info)
            archive.writestr(info, data)
        archive.comment = comment
    return path


def pair(folder: Path, first: Mapping[str, bytes | str], second: Mapping[str, bytes | str]) -> tuple[MemberDifference, ...]:
    return compare_wheels(wheel(folder / "first.whl", first), wheel(folder / "second.whl", second))


def only(found: tuple[MemberDifference, ...], member: str, kind: str) -> str:
    """The one difference, of this member and kind, in words."""
    [difference] = found
    assert (difference.member, difference.kind) == (member, kind)
    assert str(difference) == (f"{member}: {difference.detail}" if member else difference.detail)
    return difference.detail


def test_the_same_bytes_are_no_difference(tmp_path: Path) -> None:
    assert pair(tmp_path, {"a.py": "x"}, {"a.py": "x"}) == ()
    assert compare_wheels(tmp_path / "first.whl", tmp_path / "first.whl") == ()


def test_members_that_only_one_has(tmp_path: Path) -> None:
    found = pair(tmp_path, {"a.py": "", "b.py": ""}, {"a.py": "", "c.py": ""})
    assert [(one.member, one.kind, one.detail) for one in found] == [
        ("b.py", "missing", "only the first has it"),
        ("c.py", "missing", "only the second has it"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("a\nbuilt = '2026-11-20'\n", "a\nbuilt = '2026-11-21'\n", ["line 2: ", "2026-11-20", "2026-11-21", "(a date)"]),
        ("Built Nov 20 2026", "Built Nov 21 2026", ["(a date)"]),
        ("STAMP = 1795170000.25\n", "STAMP = 1795256400.5\n", ["line 1", "(a time)"]),
        ("at 12:00:01", "at 12:00:07", ["(a time)"]),
        ('HERE = "/tmp/one/src"\n', 'HERE = "/tmp/two/src"\n', ["/tmp/one/src", "/tmp/two/src", "(a path)"]),
        ("<object at 0x7f3c12340000>", "<object at 0x7f3c99990000>", ["(an address in memory)"]),
        ("id 0b0a7b0a-1111-4222-8333-444455556666", "id 1b0a7b0a-1111-4222-8333-444455556666", ["(a random identifier)"]),
        ("names = {'a', 'b', 'c'}\n", "names = {'c', 'b', 'a'}\n", ["(the same words in another order)"]),
        ("b\na\nc\n", "a\nb\nc\n", ["the same lines in another order, from line 1 on"]),
        ("same\none\r\n", "same\none\n", ["line 2 ends in CRLF, then in LF"]),
        ("same", "same\n", ["line 1 ends in nothing, then in LF"]),
        ("a\n", "a\nb\n", ["the second goes on at line 2: 'b'"]),
        ("a\nb\n", "a\n", ["the first goes on at line 2: 'b'"]),
        ("x = 'ä'\n", "x = 'ö'\n", ["line 1: ", "ä", "ö"]),
    ],
)
def test_texts_tell_the_first_line_that_differs_and_what_it_looks_like(tmp_path: Path, first: str, second: str, words: list[str]) -> None:
    detail = only(pair(tmp_path, {"mini.py": first.encode()}, {"mini.py": second.encode()}), "mini.py", "bytes")
    for word in words:
        assert word in detail


def test_what_differs_for_no_plain_reason_is_given_no_reason(tmp_path: Path) -> None:
    detail = only(pair(tmp_path, {"a": "2026-11-20 apple\n"}, {"a": "2026-11-20 pear\n"}), "a", "bytes")
    assert detail == "line 1: '2026-11-20 apple', then '2026-11-20 pear'"


def test_a_long_line_is_shown_around_the_place(tmp_path: Path) -> None:
    detail = only(pair(tmp_path, {"a.js": "x" * 5000 + "1" + "y" * 5000}, {"a.js": "x" * 5000 + "2" + "y" * 5000}), "a.js", "bytes")
    assert len(detail) < 300
    assert "x1y" in detail
    assert "x2y" in detail
    assert "..." in detail


def test_control_characters_do_not_reach_a_terminal(tmp_path: Path) -> None:
    found = pair(tmp_path, {"a": "\x1b[2Jone\n", "n\x1b[2J": "1"}, {"a": "\x1b[2Jtwo\n", "n\x1b[2J": "2"})
    assert len(found) == 2
    assert all(character.isprintable() for one in found for character in str(one))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (b"\0\1" * 40 + b"A" + b"\0" * 9, b"\0\1" * 40 + b"B" + b"\0" * 9, ["binary: byte 80 of 90"]),
        (b"\0\1/home/one/x.c\0", b"\0\1/home/two/x.c\0", ["byte 8", "/home/one/x.c", "/home/two/x.c", "(a path)"]),
        (b"\0" * 10, b"\0" * 20, ["byte 10 of 10, then of 20"]),
        (gzip.compress(b"x" * 99, mtime=1), gzip.compress(b"x" * 99, mtime=2), ["the time in a gzip header"]),
        (
            b"\xa7\r\r\n\0\0\0\0" + struct.pack("<I", 5) + b"rest",
            b"\xa7\r\r\n\0\0\0\0" + struct.pack("<I", 9) + b"rest",
            ["the time of its source"],
        ),
        (
            b"\xa7\r\r\n\0\0\0\0" + struct.pack("<I", 5) + b"rest",
            b"\xa7\r\r\n\0\0\0\0" + struct.pack("<I", 9) + b"best",
            ["binary: byte 8 of"],
        ),
    ],
)
def test_other_files_tell_the_byte(tmp_path: Path, first: bytes, second: bytes, words: list[str]) -> None:
    detail = only(pair(tmp_path, {"data.bin": first}, {"data.bin": second}), "data.bin", "bytes")
    for word in words:
        assert word in detail


def mode(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o100755 << 16


def time(info: zipfile.ZipInfo) -> None:
    info.date_time = (2026, 11, 21, 12, 0, 0)


def stored(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_STORED


def system(info: zipfile.ZipInfo) -> None:
    info.create_system = 0


def extra(info: zipfile.ZipInfo) -> None:
    info.extra = b"\xfe\xca\0\0"


def remark(info: zipfile.ZipInfo) -> None:
    info.comment = b"made today"


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (mode, "mode", "mode -rw-r--r--, then -rwxr-xr-x"),
        (time, "time", "time 2026-11-20 12:00:00, then 2026-11-21 12:00:00"),
        (stored, "compression", "deflated, then stored"),
        (system, "flags", "made by system 3, then 0"),
        (extra, "flags", "extra fields none, then feca0000"),
        (remark, "comment", "its comment: '', then 'made today'"),
    ],
)
def test_what_the_directory_says_of_a_member(tmp_path: Path, change: Change, kind: str, words: str) -> None:
    plain = wheel(tmp_path / "first.whl", {"a.py": "x" * 50})
    detail = only(compare_wheels(plain, wheel(tmp_path / "second.whl", {"a.py": "x" * 50}, change)), "a.py", kind)
    assert words in detail


def test_the_same_content_packed_otherwise(tmp_path: Path) -> None:
    text = "".join(str(number * number) for number in range(5000))
    for level in (1, 9):
        with zipfile.ZipFile(tmp_path / f"{level}.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            archive.writestr(zipfile.ZipInfo("a.txt", DATE), text, zipfile.ZIP_DEFLATED, compresslevel=level)
    assert "packed into" in only(compare_wheels(tmp_path / "1.whl", tmp_path / "9.whl"), "a.txt", "compression")


def test_other_packed_bytes_of_one_length(tmp_path: Path) -> None:
    """A deflate stream with another bit set where none is read is the same content in other bytes."""
    first = wheel(tmp_path / "first.whl", {"a": b"x" * 1000})
    data = bytearray(first.read_bytes())
    with zipfile.ZipFile(first) as archive:
        info = archive.infolist()[0]
    data[30 + len("a") + info.compress_size - 1] ^= 0x80  # padding after the end of the last block
    (tmp_path / "second.whl").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "second.whl") as archive:
        assert archive.read("a") == b"x" * 1000, "the test's own premise"
    assert "other packed bytes" in only(compare_wheels(first, tmp_path / "second.whl"), "a", "compression")


def test_the_order_of_members(tmp_path: Path) -> None:
    detail = only(pair(tmp_path, {"a": "1", "b": "2", "c": "3"}, {"a": "1", "c": "3", "b": "2"}), "", "order")
    assert "number 2 is b, then c" in detail


def test_a_member_that_came_in_between_is_no_other_order(tmp_path: Path) -> None:
    assert [one.kind for one in pair(tmp_path, {"a": "1", "c": "3"}, {"a": "1", "b": "2", "c": "3"})] == ["missing"]


def test_the_comment_of_the_archive(tmp_path: Path) -> None:
    plain = wheel(tmp_path / "first.whl", {"a": "1"})
    detail = only(compare_wheels(plain, wheel(tmp_path / "second.whl", {"a": "1"}, comment=b"2026")), "", "comment")
    assert "'2026'" in detail


def record(**hashes: str) -> str:
    return "".join(f"{name}.py,sha256={digest},1\n" for name, digest in hashes.items()) + f"{INFO}/RECORD,,\n"


def test_a_record_that_only_follows_is_not_told_of(tmp_path: Path) -> None:
    name = f"{INFO}/RECORD"
    found = pair(tmp_path, {"a.py": "1", "b.py": "1", name: record(a="x", b="y")}, {"a.py": "2", "b.py": "1", name: record(a="z", b="y")})
    assert [one.member for one in found] == ["a.py"]


def test_a_record_that_differs_in_more_is_told_of(tmp_path: Path) -> None:
    name = f"{INFO}/RECORD"
    # b.py is the same in both, and its row is not; the rows stand in another order; no other member differs.
    for other, content in ((record(a="z", b="w"), "2"), (record(b="y", a="z"), "2"), (record(b="y", a="x"), "1")):
        found = pair(tmp_path, {"a.py": "1", "b.py": "1", name: record(a="x", b="y")}, {"a.py": content, "b.py": "1", name: other})
        assert name in [one.member for one in found], other


def test_many_members_alike_are_one_row(tmp_path: Path) -> None:
    members = {f"m{number}.py": "x" for number in range(500)}
    found = compare_wheels(wheel(tmp_path / "first.whl", members), wheel(tmp_path / "second.whl", members, time))
    assert "500 members, such as m0.py: time 2026-11-20" in only(found, "", "time")


def test_a_report_ends(tmp_path: Path) -> None:
    count = 1_000
    found = pair(tmp_path, {f"m{number}": "1" for number in range(count)}, {f"m{number}": "2" for number in range(count)})
    assert len(found) == 101
    assert found[-1] == MemberDifference(member="", kind="more", detail="900 more members differ")


def test_memory_stays_flat(tmp_path: Path) -> None:
    size = 12 << 20
    for name, end in (("first.whl", b"1"), ("second.whl", b"2")):
        wheel(tmp_path / name, {"line": b"x" * size + end, "zeros": b"\0" * size + end, "lines": b"x\n" * 50_000 + end})
    tracemalloc.start()
    found = compare_wheels(tmp_path / "first.whl", tmp_path / "second.whl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.member for one in found] == ["line", "zeros", "lines"]
    assert peak < 4 << 20


def test_what_is_no_archive_is_said_and_raises_nothing(tmp_path: Path) -> None:
    good = wheel(tmp_path / "first.whl", {"a": "1"})
    (tmp_path / "bad.whl").write_bytes(b"not a ZIP")
    for pair_ in ((good, tmp_path / "bad.whl"), (tmp_path / "bad.whl", good)):
        assert "cannot be compared" in only(compare_wheels(*pair_), "", "archive")


def test_a_damaged_member_is_said_and_raises_nothing(tmp_path: Path) -> None:
    first = wheel(tmp_path / "first.whl", {"a": b"x" * 100, "b": b"y" * 100})
    data = bytearray(first.read_bytes())
    data[31] ^= 0xFF  # the first byte of a's deflate stream
    (tmp_path / "second.whl").write_bytes(data)
    assert "cannot be unpacked" in only(compare_wheels(first, tmp_path / "second.whl"), "a", "bytes")


def test_an_archive_whose_end_contradicts_itself_is_said_and_raises_nothing(tmp_path: Path) -> None:
    first = wheel(tmp_path / "first.whl", {"a": b"x" * 100})
    data = bytearray(first.read_bytes())
    data[-10] ^= 1  # the size of the directory: every offset is now taken to be off by so much
    (tmp_path / "second.whl").write_bytes(data)
    assert compare_wheels(first, tmp_path / "second.whl")
    assert compare_wheels(tmp_path / "second.whl", first)


def test_members_of_one_name_are_compared_in_their_order(tmp_path: Path) -> None:
    paths = []
    for name, texts in (("first.whl", "12"), ("second.whl", "13")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
            for text in texts:
                archive.writestr(zipfile.ZipInfo("a", DATE), text)
        paths.append(tmp_path / name)
    assert "line 1: '2', then '3'" in only(compare_wheels(*paths), "a", "bytes")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_byte_that_differs_is_told_of(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """No two files with other bytes are ever called the same, wherever the byte lies; and none raises."""
    folder = tmp_path_factory.mktemp("flip")
    first = wheel(folder / "first.whl", {"a.py": "x = 1\n", "b.bin": b"\0\1\2\3", f"{INFO}/RECORD": record(a="x")}, comment=b"c")
    content = bytearray(first.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    (folder / "second.whl").write_bytes(content)
    found = compare_wheels(first, folder / "second.whl")
    assert found
    assert all(str(one) for one in found)
    assert compare_wheels(folder / "second.whl", first)


def shared(folder: Path, name: str, code: str, *flags: str) -> bytes:
    source = folder / "x.c"
    source.write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", *flags, "-o", str(folder / name), str(source)], check=True, cwd=folder)
    return (folder / name).read_bytes()


@needs_compiler
def test_elf_files_tell_their_sections(tmp_path: Path) -> None:
    code = 'const char *built(void) { return "%s"; } int value(void) { return %d; }'
    one, two = (shared(tmp_path, "x.so", code % (text, 1)) for text in ("built on 2026-11-20", "built on 2026-11-21"))
    detail = only(pair(tmp_path, {"x.so": one}, {"x.so": two}), "x.so", "bytes")
    assert "section .rodata: 'built on 2026-11-20', then 'built on 2026-11-21' (a date)" in detail
    assert ".text" not in detail
    one, two = (shared(tmp_path, "x.so", code % ("text", number)) for number in (1, 2))
    assert "section .text (code)" in only(pair(tmp_path, {"x.so": one}, {"x.so": two}), "x.so", "bytes")


@needs_compiler
def test_elf_files_that_differ_in_their_build_id_alone(tmp_path: Path) -> None:
    one, two = (shared(tmp_path, "x.so", "int x;", f"-Wl,--build-id=0x{number}0{number}0") for number in (1, 2))
    assert only(pair(tmp_path, {"x.so": one}, {"x.so": two}), "x.so", "bytes") == "ELF: section .note.gnu.build-id (the build id)"


@needs_compiler
def test_sections_that_only_one_elf_file_has(tmp_path: Path) -> None:
    one, two = (shared(tmp_path, "x.so", "int x;", *flags) for flags in ((), ("-g",)))
    assert "section .debug_info, which only the second has" in only(pair(tmp_path, {"x.so": one}, {"x.so": two}), "x.so", "bytes")


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 63), st.integers(1, 255)), min_size=1, max_size=6), cut=st.integers(0, 4000))
def test_broken_elf_files_are_binary_and_raise_nothing(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("elf")
    whole = ELF.setdefault("whole", b"") or ELF.setdefault("made", shared(folder, "x.so", "int x;"))
    broken = bytearray(whole[: len(whole) - cut])
    for at, change in flips:
        if at >= 4:
            broken[at] ^= change
    if bytes(broken) != whole:
        assert pair(folder, {"x.so": whole}, {"x.so": bytes(broken)})


ELF: dict[str, bytes] = {}


def test_an_elf_header_that_points_anywhere_is_bounded(tmp_path: Path) -> None:
    def header(table: int, count: int, names: int) -> bytes:
        head = io.BytesIO(b"\x7fELF\2\1\1".ljust(64, b"\0"))
        head.seek(40)
        head.write(struct.pack("<Q", table))
        head.seek(58)
        head.write(struct.pack("<HHH", 64, count, names))
        return head.getvalue()

    for table, count, names in ((1 << 62, 5, 1), (0, 0xFFFF, 0), (64, 1, 7), (0, 1, 0)):
        for end in (b"", b"\0" * 4096):
            found = pair(tmp_path, {"x.so": header(table, count, names) + end}, {"x.so": header(table, count, names) + end + b"1"})
            assert only(found, "x.so", "bytes")
