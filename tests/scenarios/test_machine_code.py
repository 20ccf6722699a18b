"""A wheel is believed for what its files are, and not for what its name says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account
from tests.wheelhouse_elf.forge import elf

OLD, NEW = "py312-linux-x86_64-glibc2_17", "py312-linux-x86_64-glibc2_34"
MODULE = "native/_core.cpython-312-x86_64-linux-gnu.so"
TAG = "cp312-cp312-manylinux_2_17_x86_64"


def told(data: dict[str, Any], severity: str) -> list[tuple[str, str | None]]:
    return [(finding["code"], finding.get("target")) for finding in data["findings"] if finding["severity"] == severity]


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account.make(tmp_path)


def test_a_wheel_that_needs_a_newer_glibc_than_it_says_is_no_proof(account: Account) -> None:
    with LoopbackIndex() as index:
        needs = elf(versions={"libc.so.6": ["GLIBC_2.34"]}, symbols={"GLIBC_2.34": "dlsym"})
        index.add(*make_wheel("native", tag=TAG, files={MODULE: needs}))
        arguments = ["build", "native", "-i", index.url, "--no-trial", "--json"]
        refused = account.run(*arguments, "-t", OLD, "-t", NEW).checked(1).json()
        assert told(refused, "error") == [("glibc-floor", OLD)]
        assert not (account.project / "wheelhouse" / "wheelhouse.json").exists()
        assert told(account.run(*arguments, "-t", NEW).checked(0).json(), "error") == []
        assert account.run("verify", "--json").checked(0).json()["passed"]
        account.run(*arguments, "-t", OLD, "--keep-incomplete", "-o", "kept").checked(1)
        assert ("glibc-floor", OLD) in told(account.run("verify", "kept", "--json").checked(1).json(), "error")


def test_libraries_that_no_wheel_brings_are_warnings(account: Account) -> None:
    with LoopbackIndex() as index:
        index.add(*make_wheel("native", tag=TAG, requires=["runtime"], files={MODULE: elf(needed=["libruntime.so.1", "libGL.so.1"])}))
        index.add(*make_wheel("runtime", tag="py3-none-manylinux_2_17_x86_64", files={"runtime/libruntime.so.1": elf()}))
        index.add(*make_wheel("lonely", tag=TAG, files={MODULE.replace("native", "lonely"): elf(needed=["libruntime.so.2"])}))
        account.run("build", "native", "lonely", "-i", index.url, "--no-trial", "-t", NEW).checked(0)
        data = account.run("verify", "--json").checked(0).json()
        found = {finding["package"]: finding for finding in data["findings"] if finding["code"] == "host-library"}
        assert {finding["severity"] for finding in found.values()} == {"warning"}
        assert set(found) == {"native", "lonely"}
        assert "libGL.so.1" in found["native"]["message"] and "libruntime" not in found["native"]["message"]
        assert "libruntime.so.2" in found["lonely"]["message"]
