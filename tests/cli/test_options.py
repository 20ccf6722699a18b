"""What the options of building come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from hardtack.cli import options
from hardtack.cli.build import command as build
from hardtack.cli.lock import command as lock
from hardtack.workflow.request import Request


def request(command: click.Command, *words: str) -> Request:
    values: dict[str, Any] = command.make_context("it", list(words)).params
    found = options.request_from(values)
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize("command", [build, lock])
def test_settings_and_constraints_reach_the_inputs(command: click.Command) -> None:
    found = request(command, "-C", "a=1", "--config-setting", "six:b=2", "--config-settings=c=3", "--build-constraint", "b.txt",
                    "--build-constraints", "https://e.org/c.txt")  # fmt: skip
    assert found.inputs.config_settings == ("a=1", "six:b=2", "c=3")
    assert found.inputs.build_constraint_files == (Path("b.txt").absolute(), "https://e.org/c.txt")


@pytest.mark.parametrize("command", [build, lock])
def test_build_from_source_is_no_binary_of_all(command: click.Command) -> None:
    assert request(command, "--build-from-source").no_binary == {":all:"}
    assert request(command, "--build-from-source", "--no-binary", "Six").no_binary == {":all:", "six"}
    assert request(command).no_binary == frozenset()


@pytest.mark.parametrize("words", [["--build-jobs", "0"], ["--build-jobs", "x"]])
def test_no_builds_at_a_time_is_refused(words: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        build.make_context("it", words)
