"""Which builds are made, whom their wheels serve, and what is said where none can."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.tags import parse_tag
from packaging.version import Version

from hardtack.building.interpreter import Interpreter
from hardtack.building.serves import Made, build_gaps, plan_builds, serves
from hardtack.model.target import Target
from hardtack.targets.catalog import parse_target
from hardtack.wheelhouse.elf import ElfFacts, VersionNeed
from hardtack.wheelhouse.native import NativeFacts, NativeMember


def target(name: str) -> Target:
    return parse_target(name)


def python(
    version: str,
    *,
    arch: str = "x86_64",
    threads: bool = False,
    implementation: str = "cpython",
    libc: str = "glibc",
    glibc: tuple[int, int] = (2, 36),
    root: str | None = None,
) -> Interpreter:
    return Interpreter(
        root=Path(root) if root else None,
        executable=Path(f"/opt/python{version}/bin/python"),
        version=Version(version),
        implementation=implementation,
        roots=(),
        os="linux",
        arch=arch,
        libc=libc,
        libc_version=glibc if libc == "glibc" else None,
        free_threaded=threads,
    )


TARGETS = [target(name) for name in ("py311-linux-x86_64", "py312-linux-x86_64", "py313-linux-x86_64", "py312-windows-x86_64")]
HERE, OTHER, NEWER = python("3.11.7"), python("3.12.1"), python("3.13.0")


def jobs(*more: object, **options: object) -> list[tuple[str, tuple[str, ...]]]:
    return [(str(job.interpreter.version), job.targets) for job in plan_builds(*more, **options)]  # type: ignore[arg-type]


def made(interpreter: Interpreter, tag: str = "", **more: object) -> Made:
    return Made(interpreter=interpreter, tags=parse_tag(tag) if tag else frozenset(), **more)  # type: ignore[arg-type]


def test_the_first_build_is_the_preferred_interpreters_and_a_pure_wheel_is_the_last() -> None:
    every = tuple(one.name for one in TARGETS)
    assert jobs(TARGETS, [HERE, OTHER]) == [("3.11.7", every)]
    assert jobs(TARGETS, [HERE, OTHER], made=[made(HERE, "py3-none-any")]) == []
    assert jobs(TARGETS, [HERE, OTHER], made=[made(HERE, "py2.py3-none-any")]) == []


def test_what_looks_compiled_is_first_built_where_it_may_serve() -> None:
    assert jobs(TARGETS[1:], [HERE, OTHER], compiled=True)[0][0] == "3.12.1"
    assert jobs(TARGETS[1:], [HERE, OTHER], compiled=False)[0][0] == "3.11.7"
    assert not jobs(TARGETS[3:], [HERE, OTHER], compiled=True)  # an hour for nobody


def test_what_is_compiled_is_built_by_each_interpreter_that_a_target_has_and_that_is_here() -> None:
    first = made(HERE, "cp311-cp311-manylinux_2_17_x86_64")
    assert jobs(TARGETS, [HERE, OTHER, python("3.12.9")], made=[first]) == [("3.12.1", ("py312-linux-x86_64",))]
    assert jobs(TARGETS, [HERE, OTHER, NEWER], made=[first]) == [
        ("3.12.1", ("py312-linux-x86_64",)),
        ("3.13.0", ("py313-linux-x86_64",)),
    ]
    assert jobs(TARGETS, [HERE, OTHER, NEWER], made=[first, made(OTHER), made(NEWER)]) == []


def test_other_machines_libcs_threads_and_implementations_are_no_help() -> None:
    first = made(HERE, "cp311-cp311-manylinux_2_17_x86_64")
    for one in (
        python("3.12.1", arch="aarch64"),
        python("3.12.1", libc="musl"),
        python("3.12.1", threads=True),
        python("3.12.1", implementation="pypy"),
    ):
        assert jobs([TARGETS[1]], [HERE, one], made=[first]) == []


def test_abi3_serves_all_above_and_asks_for_nothing_more() -> None:
    tags = parse_tag("cp39-abi3-manylinux_2_17_x86_64")
    assert serves(tags, TARGETS) == ("py311-linux-x86_64", "py312-linux-x86_64", "py313-linux-x86_64")
    assert jobs(TARGETS[:3], [HERE, OTHER], made=[made(HERE, "cp39-abi3-manylinux_2_17_x86_64")]) == []
    assert serves(tags, [target("py38-linux-x86_64"), target("py313t-linux-x86_64")]) == ()


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("py311-linux-x86_64-glibc2_34", True),
        ("py311-linux-x86_64", False),
        ("py311-linux-aarch64", False),
        ("py311-linux-x86_64-musl", False),
    ],
)
def test_a_compiled_wheel_serves_the_targets_whose_floor_it_meets(name: str, fits: bool) -> None:
    assert bool(serves(parse_tag("cp311-cp311-manylinux_2_34_x86_64"), [target(name)])) is fits


def gap(name: str, *done: Made, here: tuple[Interpreter, ...] = (HERE,)) -> tuple[str, str, str, str]:
    [found] = build_gaps([target(name)], here, made=done, name="mini", version="1.0")
    assert found.target == name
    return found.code, found.reason, found.command, found.hint


NATIVE = NativeFacts(
    members=(
        NativeMember(
            name="mini/x.so",
            elf=ElfFacts(
                machine="x86_64",
                bits=64,
                needed=("libc.so.6",),
                versions=(
                    VersionNeed(library="libc.so.6", version="GLIBC_2.14", symbol="memcpy"),
                    VersionNeed(library="libc.so.6", version="GLIBC_2.34", symbol="memfd_create"),
                ),
            ),
        ),
    )
)


def test_too_new_for_the_floor_names_symbol_and_file() -> None:
    code, reason, command, hint = gap("py311-linux-x86_64", made(HERE, "cp311-cp311-manylinux_2_34_x86_64", native=NATIVE))
    assert code == "glibc-floor"
    assert reason.endswith("needs GLIBC_2.34 (memfd_create in x.so), the target has 2.28")
    assert command == "hardtack build mini==1.0 --no-binary mini -t py311-linux-x86_64 -o built"
    assert command in hint
    assert "glibc 2.28 or older" in hint
    assert "`--build-root DIR`" in hint
    assert "`hardtack merge wheelhouse built`" in hint


def test_another_platform_names_it_and_the_command() -> None:
    code, reason, command, hint = gap("py312-windows-x86_64", made(HERE, "cp311-cp311-manylinux_2_5_x86_64"))
    assert code == "needs-build"
    assert "linux x86_64" in reason
    assert "Windows x86_64" in reason
    assert command in hint
    assert "`hardtack merge wheelhouse built`" in hint
    assert "--build-root" not in hint  # no root makes a Linux machine a Windows one
    assert "CPython 3.12" in hint


def test_a_missing_interpreter_is_named() -> None:
    code, reason, _, hint = gap("py313t-linux-x86_64", made(HERE, "cp311-cp311-manylinux_2_5_x86_64"))
    assert code == "needs-build"
    assert "no CPython 3.13t here" in reason
    assert "install CPython 3.13t" in hint


def test_libraries_that_stay_outside_ask_for_what_brings_them() -> None:
    code, reason, _, hint = gap("py311-linux-x86_64", made(HERE, "cp311-cp311-linux_x86_64", outside=("libbz2.so.1.0",)))
    assert code == "host-library"
    assert "libbz2.so.1.0" in reason
    assert "hardtack[repair]" in hint


def test_a_plain_linux_wheel_serves_the_host_alone() -> None:
    tags = parse_tag("cp311-cp311-linux_x86_64")
    host = target("py311-linux-x86_64")
    plain = replace(host, tags=(*parse_tag("cp311-cp311-linux_x86_64"), *host.tags))
    assert serves(tags, [host]) == ()
    assert serves(tags, [plain]) == (plain.name,)


def test_nobody_to_serve_or_to_build() -> None:
    assert jobs([], [HERE]) == []
    assert jobs(TARGETS, []) == []


OLD, OLDER = python("3.11.9", glibc=(2, 28), root="/old"), python("3.11.4", glibc=(2, 17), root="/older")
PURE, FLOORS = "py3-none-any", [target(name) for name in ("py311-linux-x86_64-glibc2_17", "py311-linux-x86_64", "py311-rhel9")]


def test_the_oldest_system_at_or_below_the_floor_is_built_in() -> None:
    new = made(HERE, "cp311-cp311-manylinux_2_35_x86_64")
    assert jobs([FLOORS[1]], [HERE, OLD], made=[new]) == [("3.11.9", (FLOORS[1].name,))]
    assert jobs([FLOORS[1]], [HERE, OLD, OLDER], made=[new]) == [("3.11.4", (FLOORS[1].name,))]
    # None is old enough: what is nearest may do, since not every symbol is new.
    assert jobs([FLOORS[0]], [HERE, OLD], made=[new]) == [("3.11.9", (FLOORS[0].name,))]


def test_each_floor_of_a_kind_is_tried_once_and_none_above_one_that_did_not_do() -> None:
    new, old = made(HERE, "cp311-cp311-manylinux_2_35_x86_64"), made(OLD, "cp311-cp311-manylinux_2_28_x86_64")
    assert jobs([FLOORS[0]], [HERE, OLD, OLDER], made=[old]) == [("3.11.4", (FLOORS[0].name,))]
    assert jobs([FLOORS[0]], [HERE, OLD], made=[old]) == []  # the newer system would be no help
    assert jobs([FLOORS[0]], [HERE, OLD, OLDER], made=[new, old, made(OLDER)]) == []
    assert jobs([FLOORS[1]], [HERE, OLD], made=[made(OLD)]) == [("3.11.7", (FLOORS[1].name,))]  # a failure says nothing of a floor


def test_what_looks_compiled_is_built_in_the_root_at_once_and_what_is_pure_is_not() -> None:
    every = tuple(one.name for one in FLOORS)
    assert jobs(FLOORS, [HERE, OLD, OLDER], compiled=True) == [("3.11.4", every)]
    assert jobs(FLOORS[1:], [HERE, OLD], compiled=True)[0][0] == "3.11.9"
    assert jobs(FLOORS, [HERE, OLD, OLDER], compiled=False) == [("3.11.7", every)]
    assert jobs(FLOORS, [HERE, OLD, OLDER], made=[made(HERE, PURE)]) == []


def test_of_two_as_old_the_root_is_built_in_and_the_other_when_that_fails() -> None:
    same = python("3.11.1", root="/same")
    assert jobs([FLOORS[1]], [HERE, same], compiled=True)[0][0] == "3.11.1"
    assert jobs([FLOORS[1]], [HERE, same], made=[made(same)]) == [("3.11.7", (FLOORS[1].name,))]
    assert jobs([FLOORS[1]], [HERE, same], made=[made(HERE)]) == [("3.11.1", (FLOORS[1].name,))]
    assert jobs([FLOORS[1]], [HERE, same], made=[made(HERE, "cp311-cp311-manylinux_2_35_x86_64")]) == []


def test_what_cannot_be_repaired_in_a_root_is_tried_outside_of_it() -> None:
    lacking = made(OLD, "cp311-cp311-linux_x86_64", outside=("libyaml-0.so.2",))
    assert jobs([FLOORS[1]], [HERE, OLD], made=[lacking]) == [("3.11.7", (FLOORS[1].name,))]
    assert jobs([FLOORS[1]], [HERE, OLD], made=[lacking, made(HERE, "cp311-cp311-manylinux_2_35_x86_64")]) == []


def test_without_roots_nothing_is_ordered_anew() -> None:
    assert jobs(TARGETS, [HERE, python("3.11.2")], compiled=True)[0][0] == "3.11.7"


def test_a_root_that_is_too_new_is_named_as_such_and_the_oldest_try_is_told() -> None:
    tries = (made(HERE, "cp311-cp311-manylinux_2_35_x86_64"), made(OLD, "cp311-cp311-manylinux_2_34_x86_64", native=NATIVE))
    code, reason, _, hint = gap("py311-linux-x86_64", *tries, here=(HERE, OLD))
    assert (code, reason.startswith("the wheel built in the build root needs GLIBC_2.34")) == ("glibc-floor", True)
    assert "`--build-root DIR`" in hint


def test_libraries_of_a_root_are_told_as_its_own() -> None:
    code, reason, _, hint = gap("py311-linux-x86_64", made(OLD, "cp311-cp311-linux_x86_64", outside=("libffi.so.6",)), here=(HERE, OLD))
    assert code == "host-library"
    assert "in the build root needs libraries of it" in reason
    assert "a build root with a Python that it runs on" in hint


def test_another_c_library_can_be_entered_here() -> None:
    code, _, _, hint = gap("py311-linux-x86_64-musl1_2", made(HERE, "cp311-cp311-manylinux_2_5_x86_64"))
    assert code == "needs-build"
    assert "`--build-root DIR`, where Linux x86_64 with musl 1.2 is unpacked" in hint


def test_the_command_is_what_was_asked_for_and_survives_a_shell() -> None:
    [found] = build_gaps(
        [replace(target("py312-windows-x86_64"), name="the-till")],
        [HERE],
        made=[made(HERE, "cp311-cp311-manylinux_2_5_x86_64")],
        name="mini",
        version="1.0",
        asked=["mini @ git+https://e.org/mini@0123 ; extra == 'a'", "--all-groups"],
        wheelhouse="my wheels",
    )
    words = shlex.split(found.command)
    assert words[:4] == ["hardtack", "build", "mini @ git+https://e.org/mini@0123 ; extra == 'a'", "--all-groups"]
    assert words[4:] == ["-t", "py312-windows-x86_64", "-o", "built"]
    assert "`hardtack merge 'my wheels' built`" in found.hint
    assert found.target == "the-till"
