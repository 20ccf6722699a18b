"""What a machine grants, from the files in which Linux says so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardtack.system.capacity import available_memory, cores, paid

MEGABYTE = 1 << 20
MEMINFO = f"MemTotal:       {8192 << 10} kB\nMemFree:          100000 kB\nMemAvailable:   {4096 << 10} kB\nSwapFree: 1 kB\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = """\
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
"""


def machine(folder: Path, files: Mapping[str, str]) -> Path:
    """A root folder with these files, and 4096 MiB available."""
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def megabytes(root: Path) -> float:
    return available_memory(root) / MEGABYTE


def test_no_group_limits_it(tmp_path: Path) -> None:
    assert megabytes(machine(tmp_path, {})) == 4096


def test_what_the_kernel_does_not_tell_is_all_physical_memory(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "nothing") == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_this_machine_tells_something_sensible() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    assert 0 <= available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_version_2_takes_the_least_of_all_groups_above_us(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/job.scope\n",
            "proc/self/mountinfo": V2,
            "sys/fs/cgroup/user.slice/memory.max": str(2048 * MEGABYTE),
            "sys/fs/cgroup/user.slice/memory.current": str(1000 * MEGABYTE),
            # Of what it uses, this can be had back.
            "sys/fs/cgroup/user.slice/memory.stat": f"anon 5\ninactive_file {200 * MEGABYTE}\nactive_file 7\n",
            "sys/fs/cgroup/user.slice/job.scope/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/job.scope/memory.high": "max\n",
            "sys/fs/cgroup/user.slice/job.scope/memory.current": str(500 * MEGABYTE),
        },
    )
    assert megabytes(root) == 2048 - 800
    (root / "sys/fs/cgroup/user.slice/job.scope/memory.high").write_text(str(700 * MEGABYTE))
    assert megabytes(root) == 200


def test_a_group_that_used_more_than_it_may_leaves_nothing(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": V2, "sys/fs/cgroup/a/memory.high": "100"}
    assert available_memory(machine(tmp_path, {**files, "sys/fs/cgroup/a/memory.current": "900"})) == 0


def test_a_limit_above_the_machine_is_none(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": V2, "sys/fs/cgroup/a/memory.max": str(1 << 45)}
    assert megabytes(machine(tmp_path, files)) == 4096


@pytest.mark.parametrize("inner", ["/docker/abc", "/"])
def test_a_container_of_version_1_sees_its_own_group_as_the_top(tmp_path: Path, inner: str) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": f"9:name=systemd:{inner}\n4:memory:{inner}\n2:cpu,cpuacct:{inner}\n0::/\n",
            "proc/self/mountinfo": V1.replace(" / ", f" {inner} "),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(1024 * MEGABYTE),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(600 * MEGABYTE),
            "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {100 * MEGABYTE}\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )
    assert megabytes(root) == 524
    assert paid(4, root) == 1 and cores(root) == 1


def test_a_group_below_a_mount_of_part_of_the_tree(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc/inner\n",
        "proc/self/mountinfo": V1.replace(" / ", " /docker/abc "),
        "sys/fs/cgroup/memory/inner/memory.limit_in_bytes": str(64 * MEGABYTE),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert megabytes(machine(tmp_path, files)) == 64


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 64), ("150000 100000", 2), ("10000 100000", 1), ("300000 100000", 3), ("", 64), ("x y", 64), ("5 0", 64)],
)
def test_cores_are_those_that_the_quota_pays_for(tmp_path: Path, quota: str, count: int) -> None:
    files = {"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": V2, "sys/fs/cgroup/a/cpu.max": quota}
    assert paid(64, machine(tmp_path, files)) == count


def test_cores_of_version_1_without_a_quota(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "3:cpu,cpuacct:/\n",
        "proc/self/mountinfo": V1,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    assert paid(6, machine(tmp_path, files)) == 6


@pytest.mark.parametrize(
    ("group", "mounts"),
    [
        ("", ""),
        ("nonsense\n0\n:::\n", "short\n1 2 3 - x\n - cgroup2 a b\n"),
        ("0::/../../elsewhere\n", V2),
        ("0::relative\n", V2),
        ("0::/gone/away\n", V2.replace("/sys/fs/cgroup", "/not\\040there")),
    ],
)
def test_what_is_not_understood_limits_nothing(tmp_path: Path, group: str, mounts: str) -> None:
    root = machine(tmp_path, {"proc/self/cgroup": group, "proc/self/mountinfo": mounts, "elsewhere/memory.max": "1"})
    assert megabytes(root) == 4096 and cores(root) >= 1


def test_a_mount_whose_path_has_spaces(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/a\n",
        "proc/self/mountinfo": V2.replace("/sys/fs/cgroup", "/my\\040groups"),
        "my groups/a/memory.max": "77",
    }
    assert available_memory(machine(tmp_path, files)) == 77
