"""What a run could take and does not by itself: a wheel of the project that was built before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardtack.model.fit import Fit, WheelName, read_wheel_name
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.reading import Job

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    path: Path
    name: WheelName
    serves: int


def offer_of_project(job: Job, *, stop: Cancellation) -> str | None:
    """One note where ``dist/`` has wheels of the project that is to be built: the option that takes the newest. None where it has none."""
    folder = next((root.path for root in job.requirements.project_roots if root.path is not None and root.path.is_dir()), None)
    if folder is None or job.inputs.project_wheel is not None:
        return None
    found = _wheels(folder / "dist", job.requirements.project_name or "", [Fit(target) for target in job.targets])
    if not found:
        return None
    best = found[0]
    shown = _shown(best.path, job.project_dir)
    words = f"{shown} is there: --project-wheel {_quoted(shown)} takes it instead of building the project"
    if best.serves < len(job.targets):
        words += f" (it fits {best.serves} of {len(job.targets)} targets)"
    newer = _newest(folder, job.environment, (job.output.absolute(), folder / "dist"), stop)
    if newer is not None and newer[1] > best.path.stat().st_mtime_ns:
        words += f"; it is older than {newer[0]}"
    if others := [one.path.name for one in found[1:]]:
        words += f"; there is also {', '.join(others[:_SHOWN])}" + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
    return words


def _wheels(folder: Path, project: str, fits: Sequence[Fit]) -> list[_Found]:
    """The project's wheels in a folder: the newest version first, and of one version that which serves the most targets."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".whl" and path.is_file())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    named = ((path, read_wheel_name(path.name)) for path in paths)
    found = [
        _Found(path=path, name=name, serves=sum(fit.rank(name.tags) is not None for fit in fits))
        for path, name in named
        if name is not None and name.name == project
    ]
    return sorted(found, key=lambda one: (one.name.version, one.serves, one.name.build or ()), reverse=True)


def _newest(folder: Path, environment: Mapping[str, str], leave_out: Iterable[Path], stop: Cancellation) -> tuple[str, int] | None:
    """The file of the project that was changed last, and when, in nanoseconds."""
    # Imported where it is needed: few projects have a wheel in dist/.
    from hardtack.building.git import find_git
    from hardtack.building.trees import listed

    times = []
    for name, path in listed(folder, find_git(environment, offline=True, stop=stop), tuple(leave_out))[1]:
        try:
            times.append((path.lstat().st_mtime_ns, name))
        except OSError:
            continue
    if not times:
        return None
    modified, name = max(times)
    return name, modified


def _shown(path: Path, project_dir: Path) -> str:
    return path.relative_to(project_dir).as_posix() if path.is_relative_to(project_dir) else str(path)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
