"""Every verb prints its findings in every form, with the same exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.test_reports import check_sarif, parsed
from tests.support.archives import make_wheel
from tests.support.loopback import LoopbackIndex
from tests.support.running import Account
from tests.support.world import LINUX, WINDOWS


@pytest.fixture(scope="module")
def index() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as found:
        found.add(*make_wheel("app", requires=["native"]))
        found.add(*make_wheel("native", "2.0", tag="cp312-cp312-win_amd64"))
        yield found


@pytest.fixture
def account(index: LoopbackIndex, tmp_path: object) -> Account:
    made = Account.make(tmp_path)  # type: ignore[arg-type]
    (made.project / "requirements.txt").write_text("# what is needed\napp\n")
    return made


def test_a_gap_in_every_form(account: Account, index: LoopbackIndex) -> None:
    arguments = ["build", "-r", "requirements.txt", "-t", LINUX, "-t", WINDOWS, "-i", index.url]
    told = json.loads(account.run(*arguments, "--format", "json").checked(1).out)
    errors = [finding for finding in told["findings"] if finding["severity"] == "error"]
    assert [finding["package"] for finding in errors] == ["native"]
    log = check_sarif(json.loads(account.run(*arguments, "--format", "sarif").checked(1).out))
    [result] = [result for result in log["results"] if result["level"] == "error"]
    assert result["ruleId"] == errors[0]["code"]
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "requirements.txt", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 2},
    }
    lines = [line for line in account.run(*arguments, "--format=github").checked(1).out.splitlines() if line.startswith("::")]
    command, properties, data = parsed(lines[0])
    assert (command, properties["file"], properties["line"]) == ("error", "requirements.txt", "2")
    assert errors[0]["code"] in properties["title"]
    assert LINUX in data


def test_lock_and_verify(account: Account, index: LoopbackIndex) -> None:
    assert (
        check_sarif(json.loads(account.run("lock", "app", "-t", WINDOWS, "-i", index.url, "--format", "sarif").checked(0).out))["results"]
        == []
    )
    account.run("build", "app", "-t", WINDOWS, "-i", index.url, "--format", "sarif").checked(0)
    wheel = account.project / "wheelhouse" / "native-2.0-cp312-cp312-win_amd64.whl"
    assert [line for line in account.run("verify", "--format", "github").checked(0).out.splitlines() if line.startswith("::error")] == []
    data = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(data[:-1] + b"x")
    log = check_sarif(json.loads(account.run("verify", "--format", "sarif").checked(1).out))
    assert "hash-mismatch" in {result["ruleId"] for result in log["results"]}
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in log["results"]}
    assert "wheelhouse/native-2.0-cp312-cp312-win_amd64.whl" in uris
