"""What a wheel's files need is told from its files: the floor, the file and symbol that set it, and the libraries nobody brings."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.tags import parse_tag

from hardtack.model.finding import Severity
from hardtack.model.native import MachineCode
from hardtack.model.wheel import WheelFacts
from hardtack.targets.catalog import parse_target
from hardtack.wheelhouse.facts import FactsCache
from hardtack.wheelhouse.inspect import inspect_wheel
from hardtack.wheelhouse.manylinux import NOWHERE, library_floor, platform_tags, promise, version_floor
from hardtack.wheelhouse.native import NativeFacts, check_native, judge_native, wheel_floor
from tests.support.archives import make_wheel, sha256
from tests.wheelhouse_elf.forge import elf


def native(folder: Path, members: Mapping[str, bytes], tag: str = "cp311-cp311-linux_x86_64") -> NativeFacts:
    filename, data = make_wheel("mini", tag=tag, files=members)
    (folder / filename).write_bytes(data)
    return wheel_floor(folder / filename)


def glibc(*versions: str, arch: str = "x86_64", **symbols: str) -> bytes:
    return elf(arch, versions={"libc.so.6": list(versions)}, symbols={version: name for name, version in symbols.items()})


def policies() -> list[dict[str, object]]:
    pytest.importorskip("auditwheel", reason="its policies are the oracle")
    found = json.loads(files("auditwheel.policy").joinpath("manylinux-policy.json").read_text(encoding="utf-8"))
    return [policy for policy in found if policy["name"] != "linux"]


# Where we say more: RELR is in riscv64's glibc from 2.36 on as everywhere; and 2.18 on aarch64 is not what 2.17 promises (PEP 600).
EXPLAINED = {("riscv64", "GLIBC_ABI_DT_RELR"), ("aarch64", "GLIBC_2.18")}


def test_every_version_of_every_policy_has_the_floor_of_the_first_that_allows_it() -> None:
    def floor(policy: dict[str, object]) -> tuple[int, int]:
        major, minor = str(policy["name"]).split("_")[1:]
        return int(major), int(minor)

    first: dict[tuple[str, str], tuple[int, int]] = {}
    known: dict[str, set[tuple[int, int]]] = {}
    for policy in sorted(policies(), key=floor):
        for arch, prefixes in policy["symbol_versions"].items():  # type: ignore[attr-defined]
            known.setdefault(arch, set()).add(floor(policy))
            for prefix, versions in prefixes.items():
                for version in versions:
                    first.setdefault((arch, f"{prefix}_{version}"), floor(policy))
    assert len(first) > 900
    wrong = {}
    for (arch, version), allowed in first.items():
        ours = version_floor(version, arch)
        rounded = min((one for one in known[arch] if ours is not None and one >= ours), default=None)
        if rounded != allowed and (arch, version) not in EXPLAINED:
            wrong[arch, version] = (ours, allowed)
    assert wrong == {}


def test_what_no_policy_knows_has_no_floor() -> None:
    for version in ("GLIBC_PRIVATE", "GLIBCXX_3.4.99", "GLIBC_ABI_SOMETHING", "GLIBC_x.y", "CXXABI_1.3.99"):
        assert version_floor(version, "x86_64") == NOWHERE
    for version in ("OPENSSL_3.0.0", "GFORTRAN_8", "", "libfoo"):
        assert version_floor(version, "x86_64") is None


def test_the_libraries_that_every_policy_allows() -> None:
    for policy in policies():
        major, minor = (int(part) for part in str(policy["name"]).split("_")[1:])
        for library in policy["lib_whitelist"]:  # type: ignore[attr-defined]
            floor = library_floor(library)
            assert floor is not None, library
            assert floor <= (major, minor), library
    for library in ("libssl.so.3", "libpython3.11.so.1.0", "libfoo.so", "libcrypt.so.1", "libexpat.so.0"):
        assert library_floor(library) is None
    assert library_floor("libexpat.so.1") == (2, 12)


def test_a_floor_is_the_highest_need_of_any_file(tmp_path: Path) -> None:
    found = native(
        tmp_path,
        {
            "mini/a.so": glibc("GLIBC_2.2.5", "GLIBC_2.14", memcpy="GLIBC_2.14"),
            "mini/deep/tool": glibc("GLIBC_2.34", dlsym="GLIBC_2.34"),
            "mini/data.txt": glibc("GLIBC_2.99"),
        },
    )
    assert found.floor("x86_64") == (2, 34)
    assert found.machines == {"x86_64"}
    assert found.libcs == {"glibc"}
    worst = max(found.needs("x86_64"), key=lambda need: need.floor)
    assert str(worst) == "GLIBC_2.34 (dlsym in tool)"
    assert {member.name for member in found.members} == {"mini/a.so", "mini/deep/tool"}


def test_a_library_that_came_later_is_a_floor_too(tmp_path: Path) -> None:
    assert native(tmp_path, {"a.so": elf(needed=["libmvec.so.1", "libc.so.6"])}).floor("x86_64") == (2, 24)
    assert native(tmp_path, {"a.so": elf(needed=["libc.so.6"])}).floor("x86_64") == (2, 0)


def test_what_the_wheel_brings_is_no_need(tmp_path: Path) -> None:
    found = native(
        tmp_path,
        {
            "mini/a.so": elf(needed=["libown-1234.so.1", "libother.so", "libc.so.6"], versions={"libown-1234.so.1": ["GLIBCXX_3.4.30"]}),
            "mini.libs/libown-1234.so.1": elf(needed=["libc.so.6"]),
            "mini.libs/renamed.so": elf(soname="libother.so", needed=["libffi.so.8"]),
        },
    )
    assert found.outside("x86_64") == {"libffi.so.8": ("mini.libs/renamed.so",)}
    assert found.floor("x86_64") == (2, 0)


def test_other_machines_and_systems_are_told_apart(tmp_path: Path) -> None:
    found = native(
        tmp_path,
        {
            "a.so": glibc("GLIBC_2.5"),
            "b.so": glibc("GLIBC_2.30", arch="aarch64"),
            "c.pyd": b"MZ" + bytes(100),
            "d.so": b"\xcf\xfa\xed\xfe" + bytes(100),
            "e.so": b"\x7fELF" + bytes(100),
        },
    )
    assert found.machines == {"x86_64", "aarch64"}
    assert (found.floor("x86_64"), found.floor("aarch64")) == ((2, 5), (2, 30))
    assert found.others == (("c.pyd", "windows"), ("d.so", "macos"))
    assert [name for name, _ in found.broken] == ["e.so"]


def test_files_for_another_machine_want_nothing_here(tmp_path: Path) -> None:
    found = native(tmp_path, {"a.so": elf(needed=["libx.so"]), "b.so": elf("aarch64", needed=["libx.so", "liby.so"])})
    assert found.outside("x86_64") == {"libx.so": ("a.so",)}
    assert found.outside("aarch64") == {"libx.so": ("b.so",), "liby.so": ("b.so",)}


def test_musl_is_told_by_its_library(tmp_path: Path) -> None:
    found = native(tmp_path, {"a.so": elf(needed=["libc.musl-x86_64.so.1", "libz.so.1", "libgcc_s.so.1"])})
    assert found.libcs == {"musl"}
    assert found.outside("x86_64") == {"libgcc_s.so.1": ("a.so",)}


@pytest.mark.parametrize("damage", ["no-zip", "flipped", "truncated"])
def test_a_damaged_wheel_is_never_an_error(tmp_path: Path, damage: str) -> None:
    filename, data = make_wheel("mini", files={"a.so": glibc("GLIBC_2.5")})
    path = tmp_path / filename
    where = data.index(b"a.so") + 30
    path.write_bytes({"no-zip": b"no", "flipped": data[:where] + b"\xff\xff\xff" + data[where + 3 :], "truncated": data[:-30]}[damage])
    assert wheel_floor(path).broken


def test_a_bomb_is_read_as_far_as_it_goes_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "mini-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.so", b"\x7fELF" + bytes(20 << 20))
        archive.writestr("b.bin", bytes(60 << 20))
    [(name, _)] = wheel_floor(path).broken
    assert name == "a.so"


CHECKS = {
    "exceeds": ("manylinux_2_17_x86_64.manylinux2014_x86_64", glibc("GLIBC_2.34", dlsym="GLIBC_2.34"), ["glibc-floor"]),
    "keeps": ("manylinux_2_34_x86_64", glibc("GLIBC_2.34"), []),
    "lowest-promise-counts": ("manylinux_2_5_x86_64.manylinux_2_34_x86_64", glibc("GLIBC_2.17"), ["glibc-floor"]),
    "legacy": ("manylinux1_x86_64", glibc("GLIBC_2.6"), ["glibc-floor"]),
    "weak": ("manylinux_2_17_x86_64", elf(versions={"libc.so.6": ["GLIBC_2.34"]}, weak=["GLIBC_2.34"]), []),
    "promises-nothing": ("linux_x86_64", glibc("GLIBC_2.34"), []),
    "other-machine": ("manylinux_2_17_aarch64", glibc("GLIBC_2.34"), []),
    "c++": ("manylinux_2_17_x86_64", elf(versions={"libstdc++.so.6": ["GLIBCXX_3.4.20"]}), ["glibc-floor"]),
    "private": ("manylinux_2_41_x86_64", glibc("GLIBC_PRIVATE"), ["glibc-floor"]),
    "library": ("manylinux_2_17_x86_64", elf(needed=["libssl.so.3", "libc.so.6"]), ["host-library"]),
    "desktop": ("manylinux_2_17_x86_64", elf(needed=["libGL.so.1", "libc.so.6"]), ["host-library"]),
    "glibc-on-musl": ("musllinux_1_2_x86_64", elf(needed=["libc.so.6"]), ["host-library"]),
    "musl-on-musl": ("musllinux_1_2_x86_64", elf(needed=["libc.musl-x86_64.so.1", "libz.so.1"]), []),
    "musl-on-glibc": ("manylinux_2_17_x86_64", elf(needed=["libc.musl-x86_64.so.1"]), ["host-library"]),
}


def short(facts: NativeFacts) -> MachineCode:
    assert facts.code is not None
    return facts.code


@pytest.mark.parametrize("case", CHECKS)
def test_a_tag_that_promises_too_much_and_a_library_of_nobody_are_warnings(tmp_path: Path, case: str) -> None:
    platform, data, expected = CHECKS[case]
    tag = f"cp311-cp311-{platform}"
    found = check_native(short(native(tmp_path, {"mini/a.so": data}, tag)), parse_tag(tag), file="mini.whl", package="mini")
    assert [finding.code for finding in found] == expected
    for finding in found:
        assert finding.severity is Severity.WARNING
        assert "a.so" in finding.message
        assert "mini.whl" in finding.message
    if case == "exceeds":
        assert "glibc 2.17" in found[0].message
        assert "GLIBC_2.34 (dlsym in a.so)" in found[0].message


def test_tags_for_a_floor_are_never_lower_and_known_to_older_installers() -> None:
    for minor in range(45):
        for arch in ("x86_64", "aarch64"):
            for tag in platform_tags("glibc", (2, minor), arch):
                promised = promise(tag)
                assert promised is not None
                assert promised[:2] == (arch, "glibc")
                assert promised[2] >= (2, minor)
    assert platform_tags("glibc", (2, 3), "x86_64") == ("manylinux1_x86_64", "manylinux_2_5_x86_64")
    assert platform_tags("glibc", (2, 3), "aarch64") == ("manylinux2014_aarch64", "manylinux_2_17_aarch64")
    assert platform_tags("glibc", (2, 29), "x86_64") == ("manylinux_2_29_x86_64",)
    assert platform_tags("musl", (1, 2), "x86_64") == ("musllinux_1_2_x86_64",)


def test_an_error_is_only_for_the_targets_that_are_too_old(tmp_path: Path) -> None:
    """A wheel that says manylinux1 and needs 2.28 is a lie, and runs on every target that has 2.28."""
    tag = "py3-none-manylinux1_x86_64"
    found = native(tmp_path, {"mini/a.so": glibc("GLIBC_2.28", statx="GLIBC_2.28")}, tag)

    code = short(found)

    def check(*names: str) -> list[tuple[str, str | None]]:
        targets = [parse_target(name) for name in names]
        codes = check_native(code, parse_tag(tag), file="mini.whl", targets=targets)
        return [(one.severity.value, one.target) for one in codes if one.code == "glibc-floor"]

    old = "py312-linux-x86_64-glibc2_17"
    assert check(old, "py312-linux-x86_64") == [("error", old)]
    assert check("py312-linux-x86_64") == [("warning", None)]
    assert check("py312-linux-aarch64-glibc2_17", "py312-linux-x86_64-musl", "py312-windows-x86_64") == [("warning", None)]
    [only] = check_native(code, parse_tag(tag), file="mini.whl", targets=[parse_target(old)])
    assert only.message == "mini.whl needs GLIBC_2.28 (statx in a.so), the target has 2.17"


def wheel(folder: Path, name: str, members: Mapping[str, bytes], tag: str = "cp312-cp312-manylinux_2_17_x86_64") -> WheelFacts:
    filename, data = make_wheel(name, tag=tag, files=members)
    (folder / filename).write_bytes(data)
    facts = inspect_wheel(folder / filename, filename=filename, sha256=sha256(data))
    assert isinstance(facts, WheelFacts), facts
    return facts


def told(target: str, *wheels: WheelFacts) -> list[tuple[str, str, str | None]]:
    return [(one.code, one.severity.value, one.package) for one in judge_native([(parse_target(target), wheels)])]


MODULE = "a.cpython-312-x86_64-linux-gnu.so"


def test_a_library_may_come_from_another_wheel_of_the_same_target(tmp_path: Path) -> None:
    """As torch's come from the nvidia wheels."""
    user = wheel(tmp_path, "user", {f"user/{MODULE}": elf(needed=["libcudart.so.12", "libc.so.6"])})
    giver = wheel(tmp_path, "giver", {"giver/lib/libcudart.so.12": elf(soname="libcudart.so.12")}, "py3-none-manylinux_2_17_x86_64")
    other = wheel(tmp_path, "other", {"other/lib/libcudart.so.12": elf("aarch64")}, "py3-none-manylinux_2_17_x86_64")
    linux = "py312-linux-x86_64"
    assert told(linux, user) == [("host-library", "warning", "user")]
    assert told(linux, user, giver) == []
    assert ("host-library", "warning", "user") in told(linux, user, other)
    targets = [(parse_target(linux), (user,)), (parse_target("py312-linux-x86_64-glibc2_17"), (user, giver))]
    assert [finding.target for finding in judge_native(targets)] == [linux]


def test_what_importing_does_not_lead_to_is_only_noted(tmp_path: Path) -> None:
    members = {
        f"user/{MODULE}": elf(needed=["libinner.so", "libc.so.6"]),
        "user.libs/libinner.so": elf(needed=["libdeep.so.2"]),
        "user/plugins/libsqlmysql.so": elf(needed=["libmysqlclient.so.21", "libinner.so"]),
    }
    facts = wheel(tmp_path, "user", members)
    found = judge_native([(parse_target("py312-linux-x86_64"), (facts,))])
    assert [(one.severity.value, library) for one in found for library in ("libdeep", "libmysqlclient") if library in one.message] == [
        ("warning", "libdeep"),
        ("note", "libmysqlclient"),
    ]


def test_one_file_that_is_imported_is_enough(tmp_path: Path) -> None:
    members = {"user/libplugin.so": elf(needed=["libdeep.so.2"]), f"user/{MODULE}": elf(needed=["libdeep.so.2"])}
    for at, ordered in enumerate((members, dict(reversed(members.items())))):
        [only] = judge_native([(parse_target("py312-linux-x86_64"), (wheel(tmp_path, f"user{at}", ordered),))])
        assert only.severity is Severity.WARNING
        assert f"libdeep.so.2 ({MODULE})" in only.message


def test_where_nothing_is_imported_every_file_counts(tmp_path: Path) -> None:
    facts = wheel(tmp_path, "lib", {"lib/libplain.so": elf(needed=["libsnd.so.1"])}, "py3-none-manylinux_2_17_x86_64")
    assert told("py312-linux-x86_64", facts) == [("host-library", "warning", "lib")]


def test_what_the_host_itself_compiled_may_use_its_libraries(tmp_path: Path) -> None:
    target = parse_target("py312-linux-x86_64")
    here = replace(target, platform=replace(target.platform, plain_linux=True))
    facts = wheel(tmp_path, "user", {f"user/{MODULE}": elf(needed=["libssl.so.3"])}, "cp312-cp312-linux_x86_64")
    [only] = judge_native([(here, (facts,))])
    assert (only.code, only.severity) == ("host-library", Severity.NOTE)


def test_a_wheel_for_every_system_may_bring_files_that_some_cannot_load(tmp_path: Path) -> None:
    """As debugpy does: its helpers for other systems lie there unused."""
    facts = wheel(tmp_path, "debug", {"debug/attach_linux.so": glibc("GLIBC_2.34")}, "py3-none-any")
    assert told("py312-linux-x86_64", facts) == [("glibc-floor", "warning", "debug")]
    assert told("py312-linux-aarch64", facts) == []
    assert told("py312-windows-x86_64", facts) == []


def test_machine_code_for_another_machine_alone_is_no_wheel_for_this_one(tmp_path: Path) -> None:
    foreign = {f"user/{MODULE}": elf("aarch64")}
    assert told("py312-linux-x86_64", wheel(tmp_path, "user", foreign)) == [("machine", "error", "user")]
    assert told("py312-linux-x86_64", wheel(tmp_path, "tool", foreign, "py3-none-manylinux_2_17_x86_64")) == [
        ("machine", "warning", "tool")
    ]
    assert told("py312-linux-x86_64", wheel(tmp_path, "both", {**foreign, "user/b.so": elf()})) == []


def test_a_later_library_than_the_target_has_is_nobodys(tmp_path: Path) -> None:
    facts = wheel(tmp_path, "user", {f"user/{MODULE}": elf(needed=["libmvec.so.1"])})
    assert told("py312-linux-x86_64", facts) == []
    assert told("py312-linux-x86_64-glibc2_17", facts) == [("host-library", "warning", "user")]


def test_private_symbols_break_a_promise_and_deny_no_target(tmp_path: Path) -> None:
    """As the ffmpeg of imageio-ffmpeg, which runs everywhere."""
    private = wheel(tmp_path, "user", {f"user/{MODULE}": glibc("GLIBC_PRIVATE", __sendmmsg="GLIBC_PRIVATE")})
    assert told("py312-linux-x86_64", private) == [("glibc-floor", "warning", "user")]
    newest = wheel(tmp_path, "newest", {f"user/{MODULE}": elf(versions={"libstdc++.so.6": ["GLIBCXX_3.4.99"]})})
    assert told("py312-linux-x86_64", newest) == [("glibc-floor", "error", "newest")]


def test_what_no_loader_could_load_is_told(tmp_path: Path) -> None:
    cut = wheel(tmp_path, "user", {f"user/{MODULE}": elf()[:-8], "user/b.so": elf()})
    [only] = judge_native([(parse_target("py312-linux-x86_64"), (cut,))])
    assert (only.code, only.severity) == ("broken-code", Severity.WARNING)
    assert MODULE in only.message


def test_names_that_overlap_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Sixteen thousand versions, each the same four thousand characters: a small file that says sixty megabytes."""
    name = "G" * 4000
    greedy = elf(versions={"libc.so.6": [name] * 3 + [f"{n}{name}" for n in range(200)]})
    assert len(greedy) < 1 << 20
    offsets = elf(needed=["x" * 4000] * 300)
    for data in (greedy + bytes(1), offsets):
        found = native(tmp_path, {"a.so": data})
        assert sum(len(need.version) for member in found.members for need in member.elf.versions) <= 1 << 20
        assert sum(len(library) for member in found.members for library in member.elf.needed) <= 1 << 20
    assert [reason for _, reason in native(tmp_path, {"a.so": offsets}).broken] == ["its names have more than 1048576 characters"]
    many = native(tmp_path, {f"{n}.so": elf(needed=["x" * 4000] * 200) for n in range(60)})
    assert 20 < len(many.members) < 60
    assert {reason for _, reason in many.broken} == {"the ELF files before it have too many names"}


def test_judging_a_wheel_reads_its_machine_code_on_the_way(tmp_path: Path) -> None:
    facts = wheel(
        tmp_path,
        "user",
        {
            f"user/{MODULE}": elf(versions={"libc.so.6": ["GLIBC_2.14", "GLIBC_2.15"]}, weak=["GLIBC_2.15"]),
            "user/x.so": b"\x7fELF" + bytes(99),
        },
    )
    assert facts.native == wheel_floor(tmp_path / facts.filename).code
    assert facts.native is not None
    assert [name for name, _ in facts.native.broken] == ["user/x.so"]
    cache = FactsCache(tmp_path / "cache")
    assert cache.get(tmp_path / facts.filename, facts.filename, facts.sha256) == facts
    assert FactsCache(tmp_path / "cache").known(tmp_path / facts.filename, facts.filename, facts.sha256) == facts
    assert wheel(tmp_path, "plain", {"plain/x.bin": bytes(200)}, "py3-none-any").native is None
