"""What was asked for, as words after ``hardtack build``: to be typed again where a target can be served."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hardtack.inputs.read import InputRequest
from hardtack.model.requirements import FormatControl
from hardtack.wheelhouse.pylock_packages import without_credentials
from hardtack.workflow.reading import Job

# By where the settings say that an index is from.
_INDEX_OPTIONS = {"--index-url": "--index-url", "--extra-index-url": "--extra-index-url", "the command line": "--find-links"}


def asked_words(job: Job) -> list[str]:
    """The words for the same inputs, formats and indexes of the command line; targets, output and what is this machine's left out.

    Without any login: what an index wants of one is set up where the words are typed.
    """
    words = [*_inputs(job.inputs), *_formats(job.formats)]
    if job.requirements.prereleases:
        words.append("--pre")
    if job.exclude_newer is not None:
        words += ["--exclude-newer", job.exclude_newer]
    for index in job.settings.indexes:
        if index.origin in _INDEX_OPTIONS:
            words += [_INDEX_OPTIONS[index.origin], _near(_path(index.url))]
    if job.settings.no_index:
        words.append("--no-index")
    return [without_credentials(word) for word in words]


def _inputs(inputs: InputRequest) -> list[str]:
    words = list(inputs.requirements)
    for option, values in (
        ("--requirement", inputs.requirement_files),
        ("--constraint", inputs.constraint_files),
        ("--script", inputs.scripts),
        ("--project", [folder] if (folder := inputs.project_dir) is not None and folder.absolute() != Path.cwd() else []),
        ("--lock-file", [inputs.lock_file] if inputs.lock_file is not None else []),
        ("--project-wheel", [inputs.project_wheel] if inputs.project_wheel is not None else []),
        ("--build-constraint", inputs.build_constraint_files),
    ):
        words += [word for value in values for word in (option, _near(value))]
    for option, names in (("--extra", inputs.extras), ("--group", inputs.groups)):
        words += [word for name in sorted(names or ()) for word in (option, name)]
    words += ["--only", *inputs.sets] if len(inputs.sets) == 1 else []
    for option, said in (
        ("--all-extras", inputs.all_extras),
        ("--all-groups", inputs.all_groups),
        ("--no-lock", not inputs.use_lock),
        ("--no-project", not inputs.project),
        ("--no-build-requirements", not inputs.build_requirements),
    ):
        words += [option] if said else []
    return words + [word for setting in inputs.config_settings for word in ("--config-setting", setting)]


def _formats(formats: FormatControl) -> list[str]:
    return [
        *(word for name in sorted(formats.no_binary) for word in ("--no-binary", name)),
        *(word for name in sorted(formats.only_binary) for word in ("--only-binary", name)),
    ]


def _path(url: str) -> Path | str:
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else url


def _near(place: Path | str) -> str:
    """A path as it is typed here; a URL as it is."""
    here = Path.cwd()
    return str(place.relative_to(here)) if isinstance(place, Path) and place.is_relative_to(here) else str(place)
