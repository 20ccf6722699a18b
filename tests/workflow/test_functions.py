"""The verbs as functions: what a program gets back is typed, and it is told what happens."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_type_hints

import pytest

import hardtack
from hardtack import BuildOptions, IndexFlags, InputRequest, Reporter, Request, build, lock, verify
from hardtack.errors import Cancelled, InputError, UsageError
from hardtack.model.finding import Grade
from hardtack.system.cancellation import Cancellation
from tests.support.loopback import LoopbackIndex
from tests.support.running import contents
from tests.support.world import LINUX, WINDOWS, add_app, add_source


class Listening(Reporter):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.events: list[tuple[str, str]] = []

    def stage(self, name: str, *, detail: str = "") -> None:
        self.stages.append(name)

    def transfer_finished(self, name: str) -> None:
        self.events.append(("fetched", name))

    def build_finished(self, name: str, *, wheel: str | None, seconds: float) -> None:
        self.events.append(("built", wheel or ""))


def a_request(index: LoopbackIndex, folder: Path, *names: str) -> Request:
    return Request(
        inputs=InputRequest(requirements=names, project_dir=folder),
        targets=(LINUX, WINDOWS),
        indexes=IndexFlags(index_url=index.url),
        cache_dir=folder / "cache",
        environment={"PATH": "/usr/bin:/bin", "HOME": str(folder / "home")},
    )


def test_build_verify_lock(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        add_app(index)
        add_source(index)
        request = a_request(index, tmp_path, "app", "fromsource")
        heard = Listening()
        result = build(request, BuildOptions(output=tmp_path / "house"), reporter=heard)
        assert result.passed and result.stowed and not result.unchanged
        assert (result.fetched, result.built) == (6, 1)
        assert result.verdict is not None and result.manifest is not None and result.plan is not None and result.lock is not None
        assert {name: Grade.METADATA in grades for name, grades in result.verdict.grades} == {LINUX: True, WINDOWS: True}
        assert [stage for stage in heard.stages if stage != "installing"] == [
            "reading", "locking", "planning", "fetching", "building", "judging", "proving", "stowing",
        ]  # fmt: skip
        assert ("fetched", "app-1.0-py3-none-any.whl") in heard.events
        assert ("built", "fromsource-1.0-py3-none-any.whl") in heard.events

        again = build(request, BuildOptions(output=tmp_path / "house"))
        assert again.passed and again.unchanged and again.manifest == result.manifest
        assert again.verdict is not None and again.verdict.grades == result.verdict.grades

        judged = verify(tmp_path / "house", cache_dir=tmp_path / "cache", environment={"HOME": str(tmp_path)})
        assert judged.verdict.passed and judged.verdict.manifest_digest == result.verdict.manifest_digest

        locked = lock(request, output=tmp_path / "pylock.toml")
        assert locked.passed and locked.changed and locked.path == tmp_path / "pylock.toml"
        assert not lock(request, output=tmp_path / "pylock.toml").changed
        assert lock(request, output=tmp_path / "pylock.toml", check=True).passed


def test_dry_run_has_a_plan_and_no_verdict(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        add_app(index)
        result = build(a_request(index, tmp_path, "app"), BuildOptions(output=tmp_path / "house", dry_run=True))
        assert result.passed and result.plan is not None and result.verdict is None and not result.stowed
        assert not (tmp_path / "house").exists()


def test_a_relative_output_is_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with LoopbackIndex() as index:
        add_app(index)
        build(a_request(index, tmp_path / "elsewhere", "middle"), BuildOptions(output=Path("house")))
        assert "middle-1.5-py3-none-any.whl" in contents(tmp_path / "house")


def test_errors_are_typed(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        verify(tmp_path)
    with pytest.raises((InputError, UsageError)):
        build(Request(inputs=InputRequest(requirement_files=("absent.txt",), project_dir=tmp_path), environment={}))


def test_stopped_before_it_begins(tmp_path: Path) -> None:
    stop = Cancellation()
    stop.cancel()
    with LoopbackIndex() as index:
        add_app(index)
        with pytest.raises(Cancelled):
            build(a_request(index, tmp_path, "app"), BuildOptions(output=tmp_path / "house"), stop=stop)
        assert not (tmp_path / "house").exists()


def test_everything_that_is_promised_is_there() -> None:
    for name in hardtack.__all__:
        thing = getattr(hardtack, name)
        if inspect.isfunction(thing):
            assert get_type_hints(thing)["return"], name
    with pytest.raises(AttributeError):
        _ = hardtack.nothing_of_the_kind
