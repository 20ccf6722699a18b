"""From a Python, its patches and a platform to a Target: the marker values and the tags that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.tags import Tag

from hardtack.model.target import Implementation, PatchRange, Platform, Selection, Target
from hardtack.targets.data import catalog, machine
from hardtack.targets.tags import interpreter_tags, platform_tags


def environment_of(implementation: Implementation, platform: Platform) -> dict[str, str]:
    """The marker variables of PEP 508 that a platform settles. What depends on the patch, the kernel or the build is not among them."""
    pypy = implementation == "pypy"
    return {
        **catalog()["os"][platform.os]["markers"],
        "platform_machine": machine(platform.os, platform.arch)["marker"],
        "platform_python_implementation": "PyPy" if pypy else "CPython",
        "implementation_name": "pypy" if pypy else "cpython",
    }


def assemble(
    *,
    name: str,
    implementation: Implementation,
    python: tuple[int, int],
    patches: PatchRange,
    platform: Platform,
    free_threaded: bool = False,
    selection: Selection | None = None,
    markers: Mapping[str, str] | None = None,
    abis: Sequence[str] = (),
    tags: Sequence[Tag] | None = None,
) -> Target:
    """A target of these parts. ``markers`` are added to what the platform settles, ``tags`` replace what follows from it."""
    if tags is None:
        platforms = platform_tags(platform)
        tags = interpreter_tags(implementation, python, free_threaded=free_threaded, platforms=platforms, abis=abis)
    environment = environment_of(implementation, platform) | dict(markers or {})
    return Target(
        name=name,
        implementation=implementation,
        python=python,
        patches=patches,
        platform=platform,
        tags=tuple(tags),
        environment=dict(sorted(environment.items())),
        free_threaded=free_threaded,
        selection=selection or Selection(),
    )
