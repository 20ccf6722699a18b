"""What of an unpacked system is shown, whatever lies in it: no link leads out, and what is no system is refused with words."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardtack.building.sandbox_root import BadRoot, read_root
from hardtack.building.sandbox_system import declare_tools
from hardtack.building.sandbox_within import listed, within

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux" if hasattr(os, "uname") else True, reason="build roots are Linux's")

LIBC = b"\x7fELF...\0GNU C Library (Testix GLIBC 2.28-10) stable release version 2.28.\nCopyright\0"


def system(folder: Path, *, merged: bool = True) -> Path:
    """What is looked at of a system, and no more."""
    (folder / "usr" / "bin").mkdir(parents=True)
    (folder / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    (folder / "usr" / "lib" / "x86_64-linux-gnu" / "libc-2.28.so").write_bytes(LIBC)
    (folder / "usr" / "lib" / "x86_64-linux-gnu" / "libc.so.6").symlink_to("libc-2.28.so")
    (folder / "usr" / "lib" / "os-release").write_text('PRETTY_NAME="x"\nNAME="Debian GNU/Linux"\nVERSION_ID="10"\n')
    (folder / "etc" / "alternatives").mkdir(parents=True)
    (folder / "etc" / "os-release").symlink_to("../usr/lib/os-release")
    if merged:
        (folder / "bin").symlink_to("usr/bin")
        (folder / "lib").symlink_to("/usr/lib")
        (folder / "usr" / "bin" / "sh").write_text("")
    else:
        (folder / "bin").mkdir()
        (folder / "lib").mkdir()
        (folder / "bin" / "sh").write_text("")
    return folder


# --- links ---------------------------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "etc")
TARGETS = st.lists(st.sampled_from((*NAMES, "..", ".", "")), min_size=1, max_size=5).map("/".join)
TREES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
        st.one_of(st.none(), st.tuples(st.booleans(), TARGETS).map(lambda pair: ("/" if pair[0] else "") + pair[1])),
    ),
    max_size=8,
)


def by_the_kernel(root: Path, path: str) -> Path | None:
    """openat2(2) with RESOLVE_IN_ROOT: the kernel's own word for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    start = os.open(root, os.O_PATH)
    try:
        how = struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0, 0x10)
        found = libc.syscall(ctypes.c_long(437), start, path.encode() or b".", how, ctypes.c_long(len(how)))
        if found < 0:
            if ctypes.get_errno() in (38, 1, 22):
                pytest.skip("this kernel has no openat2")
            return None
        try:
            return Path(os.readlink(f"/proc/self/fd/{found}"))
        finally:
            os.close(found)
    finally:
        os.close(start)


@settings(max_examples=100, deadline=None)
@given(tree=TREES, path=TARGETS)
def test_links_lead_where_the_kernel_says_that_they_lead_inside(tree: list[tuple[list[str], str | None]], path: str) -> None:
    base = Path(tempfile.mkdtemp()).resolve()
    root = base / "root"
    root.mkdir()
    (base / "a").mkdir()  # what a link that leads out would find
    try:
        for parts, target in tree:
            place = root.joinpath(*parts)
            if os.path.lexists(place) or any(os.path.islink(parent) for parent in place.parents if parent != base):
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if target is None:
                place.mkdir()
            elif target:
                place.symlink_to(target)
        found = within(root, path)
        assert found == by_the_kernel(root, path)
        assert found is None or found == root or root in found.parents
    finally:
        shutil.rmtree(base)


def test_an_absolute_link_deep_in_a_root_starts_at_its_top(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "a" / "b" / "far").symlink_to("/c")
    (tmp_path / "a" / "b" / "near").symlink_to("../../c")
    assert within(tmp_path, "a/b/far") == within(tmp_path, "a/b/near") == by_the_kernel(tmp_path, "a/b/far") == tmp_path / "c"


def test_what_is_no_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert within(tmp_path, "/file") == tmp_path / "file"
    assert within(tmp_path, "/file/more") is None
    assert listed(tmp_path, "/file") == []
    assert listed(tmp_path, "/absent") == []


# --- what is shown -------------------------------------------------------------------------------------------------------------------


def test_a_merged_and_an_unmerged_system(tmp_path: Path) -> None:
    merged, plain = read_root(system(tmp_path / "merged")), read_root(system(tmp_path / "plain", merged=False))
    assert dict(merged.links) == {"/usr/bin": "/bin", "/usr/lib": "/lib"}
    assert [name for _, name in merged.binds] == ["/usr", "/etc/alternatives", "/etc/os-release"]
    assert plain.links == ()
    assert [name for _, name in plain.binds][:3] == ["/usr", "/bin", "/lib"]
    assert merged.label == plain.label == "glibc 2.28 (Debian 10)"
    assert merged.glibc == (2, 28)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("opt", "/"),
        ("opt", "../../.."),
        ("lib64", "/etc"),
        ("lib32", "../../../usr/lib"),
        ("sbin", "/proc/self/root/bin"),
        ("etc/ld.so.conf", "/etc/shadow"),
        ("etc/ld.so.cache", "../../../../etc/passwd"),
        ("etc/ld.so.conf.d", "/"),
        ("libx32", "libx32"),
    ],
)
def test_no_link_of_a_root_shows_what_is_not_in_it(name: str, target: str, tmp_path: Path) -> None:
    folder = system(tmp_path / "root")
    (folder / name).symlink_to(target)
    found = read_root(folder)
    for place, _ in found.binds:
        assert place == Path(os.path.realpath(place))  # bubblewrap follows links: there are none to follow
        assert folder.resolve() in place.parents or place == folder.resolve()


def test_pipes_and_the_like_are_neither_read_nor_shown(tmp_path: Path) -> None:
    folder = system(tmp_path / "root")
    (folder / "etc" / "os-release").unlink()
    (folder / "usr" / "lib" / "os-release").unlink()
    for name in ("etc/os-release", "usr/lib/os-release", "etc/redhat-release", "etc/ld.so.conf"):
        os.mkfifo(folder / name)
    found = read_root(folder)
    assert found.label == "glibc 2.28"
    assert [name for _, name in found.binds] == ["/usr", "/etc/alternatives"]


def bad(folder: Path) -> str:
    with pytest.raises(BadRoot) as refused:
        read_root(folder)
    assert refused.value.where == str(folder)
    assert refused.value.hint
    return refused.value.reason


def test_what_is_no_system_is_refused_with_words(tmp_path: Path) -> None:
    assert "no such folder" in bad(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    assert "is a folder" in bad(tmp_path / "file")
    (tmp_path / "loop").symlink_to("loop")
    assert "no such folder" in bad(tmp_path / "loop")
    assert "this machine's own system" in bad(Path("/"))
    (tmp_path / "here").symlink_to("/")
    assert "this machine's own system" in bad(tmp_path / "here")
    (tmp_path / "empty").mkdir()
    assert "no usr/bin of its own" in bad(tmp_path / "empty")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "usr").symlink_to("/usr")
    assert "no usr/bin of its own" in bad(tmp_path / "linked")
    shutil.rmtree(system(tmp_path / "no-libc") / "usr" / "lib")
    assert "neither glibc nor musl" in bad(tmp_path / "no-libc")
    (system(tmp_path / "no-shell") / "usr" / "bin" / "sh").unlink()
    assert "no bin/sh" in bad(tmp_path / "no-shell")


def test_musl(tmp_path: Path) -> None:
    folder = system(tmp_path / "root")
    shutil.rmtree(folder / "usr" / "lib" / "x86_64-linux-gnu")
    (folder / "usr" / "lib" / "ld-musl-x86_64.so.1").write_bytes(b"\x7fELF")
    (folder / "usr" / "lib" / "os-release").write_text('NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.1\n')
    assert (read_root(folder).label, read_root(folder).glibc) == ("musl (Alpine 3.20.1)", None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("NAME='CentOS Linux'\nVERSION_ID=\"7\"\n", "glibc 2.28 (CentOS 7)"),
        ("NAME=AlmaLinux\nVERSION_ID=8.10\n", "glibc 2.28 (AlmaLinux 8.10)"),
        ("NAME=Arch Linux\n", "glibc 2.28 (Arch)"),
        ("NAME=a\x1b[31mb\u202e\nVERSION_ID=/home/me\n", "glibc 2.28 (a 31mb home me)"),
        ("NAME=" + "x" * 500 + "\n", f"glibc 2.28 ({'x' * 40})"),
        ("", "glibc 2.28 (CentOS release 6.10 Final)"),
    ],
)
def test_a_system_is_named_by_its_own_word_made_harmless(text: str, label: str, tmp_path: Path) -> None:
    folder = system(tmp_path / "root")
    (folder / "usr" / "lib" / "os-release").write_text(text, encoding="utf-8")
    (folder / "etc" / "redhat-release").write_text("CentOS release 6.10 (Final)\n")
    assert read_root(folder).label == label


def test_the_digest_is_of_what_is_in_it_and_not_of_its_place(tmp_path: Path) -> None:
    first = system(tmp_path / "first")
    shutil.copytree(first, tmp_path / "second", symlinks=True)  # with times
    before = read_root(first).digest
    assert read_root(tmp_path / "second").digest == before
    compiler = first / "usr" / "bin" / "gcc"
    compiler.write_text("1")
    one = read_root(first).digest
    os.utime(compiler, (1, 1))
    two = read_root(first).digest
    (first / "usr" / "bin" / "cc").symlink_to("gcc")
    assert len({before, one, two, read_root(first).digest}) == 4


def test_tools_are_the_root_s_and_those_of_its_newest_toolset_first(tmp_path: Path) -> None:
    folder = system(tmp_path / "root")
    for path in ("usr/bin/gcc", "usr/bin/make", "usr/bin/python3", "usr/bin/only-here", "usr/local/bin/make"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
    for number in (9, 10):
        place = folder / "opt" / "rh" / f"gcc-toolset-{number}" / "root" / "usr"
        (place / "bin").mkdir(parents=True)
        (place / "lib64").mkdir()
        (place / "bin" / "gcc").write_text("")
    declare_tools(tmp_path / "tools", ("only-here",), root=folder)
    assert {path.name: os.readlink(path) for path in (tmp_path / "tools").iterdir()} == {
        "gcc": "/opt/rh/gcc-toolset-10/root/usr/bin/gcc",
        "make": "/usr/local/bin/make",
        "only-here": "/usr/bin/only-here",
        "sh": "/usr/bin/sh",
    }
    assert dict(read_root(folder).variables) == {"LD_LIBRARY_PATH": "/opt/rh/gcc-toolset-10/root/usr/lib64"}
