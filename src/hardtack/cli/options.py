"""The options that several verbs share, and how they become a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

_Function = Callable[..., Any]
_FILE = click.Path(dir_okay=False, path_type=str)
_FOLDER = click.Path(file_okay=False, path_type=Path)

_ASKED = (
    click.argument("requirements", nargs=-1, metavar="[REQUIREMENT]..."),
    click.option("-r", "--requirement", "requirement_files", multiple=True, type=_FILE, metavar="FILE", help="A requirements file."),
    click.option("-c", "--constraint", "constraint_files", multiple=True, type=_FILE, metavar="FILE", help="A constraints file."),
    click.option("--script", "scripts", multiple=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="A script with inline metadata (PEP 723)."),
    click.option("--project", "project_dir", type=_FOLDER, metavar="DIR", help="The project's folder.  [default: here]"),
    click.option("--lock-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="A uv.lock or pylock.toml to obey."),
    click.option("--no-lock", is_flag=True, help="Leave lock files that lie there aside, and choose versions anew."),
    click.option("--extra", "extras", multiple=True, metavar="NAME", help="An extra of the project.  [may be repeated]"),
    click.option("--all-extras", is_flag=True, help="Every extra of the project."),
    click.option("--group", "groups", multiple=True, metavar="NAME", help="A dependency group.  [may be repeated]"),
    click.option("--all-groups", is_flag=True, help="Every dependency group."),
    click.option("--only", "only", type=click.Choice(["runtime", "development"]), help="One of the two sets; both by default."),
    click.option("--no-project", is_flag=True, help="Leave the project's own wheel out."),
    click.option("--no-build-requirements", is_flag=True, help="Leave out what building the project itself requires."),
)  # fmt: skip

_INPUTS = (
    *_ASKED,
    click.option("--project-wheel", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="Take this wheel of the project instead of building one."),
    click.option("--pre", is_flag=True, help="Pre-releases may be chosen."),
    click.option("--no-binary", multiple=True, metavar="NAME", help="Build this package from source (:all: for every one)."),
    click.option("--build-from-source", is_flag=True, help="Build every package from source: --no-binary :all:."),
    click.option("--only-binary", multiple=True, metavar="NAME", help="Never build this package (:all: for every one)."),
    click.option("--exclude-newer", metavar="TIME", help="Leave out what was uploaded after this date or RFC 3339 time."),
)  # fmt: skip

_BUILDING = (
    click.option("-C", "--config-setting", "--config-settings", "config_settings", multiple=True, metavar="[NAME:]KEY=VALUE",
                 help="Pass this to the build backend, of NAME or of every package.  [may be repeated]"),
    click.option("--build-constraint", "--build-constraints", "build_constraint_files", multiple=True, type=_FILE, metavar="FILE",
                 help="A constraints file for what builds require."),
    click.option("--no-build-lock", is_flag=True, help="What builds require is not locked."),
    click.option("--build-root", type=_FOLDER, metavar="DIR", help="Build in this unpacked system instead of this machine's own."),
    click.option("--build-jobs", type=click.IntRange(min=1), metavar="N", help="Builds at a time.  [default: by cores and memory]"),
)  # fmt: skip

_TARGETS = (
    click.option("-t", "--target", "targets", multiple=True, metavar="NAME",
                 help="Where it is to run: py312-linux-x86_64, py313-windows-x86_64, py312-rhel8, host; "
                      "`hardtack targets` shows them all.  [may be repeated]"),
    click.option("--platform", "platforms", multiple=True, metavar="TAG", help="A target in pip's words: platform,"),
    click.option("--python-version", "python_versions", multiple=True, metavar="X.Y", help="python version,"),
    click.option("--implementation", metavar="cp|pp", help="implementation,"),
    click.option("--abi", "abis", multiple=True, metavar="TAG", help="and ABI."),
    click.option("--complete-platform", "complete_platforms", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
                 help="A target from pex's complete-platform JSON or from `hardtack targets --probe-script`."),
)  # fmt: skip

_STOWING = (
    click.option("-o", "--output", type=_FOLDER, metavar="DIR", help="[default: wheelhouse]"),
    click.option("--build-twice", is_flag=True, help="Build every wheel twice, and compare."),
    click.option("--with-sdists", is_flag=True, help="Keep the sdists beside the wheels."),
    click.option("--layout", type=click.Choice(["flat", "by-target"]), help="One folder, or one for each target.  [default: flat]"),
    click.option("--keep-foreign", is_flag=True, help="Judge and keep wheels that were copied into the wheelhouse by hand."),
    click.option("--prune", is_flag=True, help="Remove wheels that are no longer needed."),
    click.option("--no-trial", is_flag=True, help="Leave out the real installation for this host's targets."),
    click.option("--keep-incomplete", is_flag=True, help="Stow what there is, though the proof fails; the exit code stays 1."),
    click.option("--require-stated-hashes", is_flag=True, help="Refuse files whose hash neither lock nor index states."),
    click.option("--require-sandbox", is_flag=True, help="Build nothing where builds cannot be contained."),
    click.option("-j", "--jobs", type=click.IntRange(1, 64), default=16, show_default=True, help="Transfers at a time."),
)  # fmt: skip

_INDEXES = (
    click.option("-i", "--index-url", metavar="URL", help="The package index.  [default: what uv and pip are set up with, else PyPI]"),
    click.option("--extra-index-url", "extra_index_urls", multiple=True, metavar="URL", help="One more index, asked before it."),
    click.option("-f", "--find-links", "find_links", multiple=True, metavar="PATH|URL", help="A folder or page of files."),
    click.option("--no-index", is_flag=True, help="No index at all: only --find-links."),
    click.option("--trusted-host", "trusted_hosts", multiple=True, metavar="HOST", help="Do not check this host's certificate."),
    click.option("--keyring", "keyring", type=click.Choice(["auto", "disabled", "subprocess"]), help="Where logins may come from."),
    click.option("--proxy", metavar="URL", help="A proxy for everything."),
    click.option("--cert", metavar="FILE", help="A bundle of certificate authorities."),
    click.option("--client-cert", metavar="FILE", help="A client certificate and its key, in one PEM file."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Without progress for so long, a transfer ends.  [default: 60]"),
    click.option("--retries", type=int, metavar="N", help="So many more tries.  [default: 5]"),
)  # fmt: skip

_COMMON = (
    click.option("--cache-dir", type=_FOLDER, metavar="DIR", envvar="HARDTACK_CACHE_DIR", help="The cache."),
    click.option("--offline", is_flag=True, help="Not one network call."),
    click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output."),
    click.option("--format", "form", type=click.Choice(["human", "json", "sarif", "github"]),
                 help="For people, as JSON, as SARIF 2.1.0, or as annotations of GitHub's workflows.  [default: human]"),
    click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors."),
    click.option("-v", "--verbose", count=True, help="Say more: settings and where they come from, each file, each round."),
)  # fmt: skip


def _apply(options: tuple[Callable[[_Function], _Function], ...]) -> Callable[[_Function], _Function]:
    def decorate(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


asked = _apply(_ASKED)
inputs = _apply(_INPUTS)
building = _apply(_BUILDING)
targets = _apply(_TARGETS)
stowing = _apply(_STOWING)
indexes = _apply(_INDEXES)
common = _apply(_COMMON)


def request_from(values: Mapping[str, Any]) -> Any:
    """The request that the shared options add up to (a ``workflow.request.Request``)."""
    from hardtack.indexing.settings import IndexFlags
    from hardtack.workflow.request import Request

    inputs_ = inputs_from(values)
    flags = IndexFlags(
        index_url=values["index_url"],
        extra_index_urls=tuple(values["extra_index_urls"]),
        find_links=tuple(values["find_links"]),
        no_index=values["no_index"],
        trusted_hosts=tuple(values["trusted_hosts"]),
        keyring=values["keyring"],
        proxy=values["proxy"],
        cert=values["cert"],
        client_cert=values["client_cert"],
        timeout=values["timeout"],
        retries=values["retries"],
    )
    return Request(
        inputs=inputs_,
        targets=targets_from(values),
        indexes=flags,
        no_binary=_names((*values["no_binary"], *([":all:"] if values["build_from_source"] else ()))),
        only_binary=_names(values["only_binary"]),
        prereleases=values["pre"],
        exclude_newer=values["exclude_newer"],
        cache_dir=values["cache_dir"],
        offline=values["offline"],
    )


def inputs_from(values: Mapping[str, Any]) -> Any:
    """What the options say of the inputs (an ``inputs.read.InputRequest``); those that a verb does not have are as if not given."""
    from hardtack.inputs.read import InputRequest

    only = values["only"]
    return InputRequest(
        requirement_files=tuple(_from_here(location) for location in values["requirement_files"]),
        constraint_files=tuple(_from_here(location) for location in values["constraint_files"]),
        build_constraint_files=tuple(_from_here(location) for location in values.get("build_constraint_files", ())),
        config_settings=tuple(values.get("config_settings", ())),
        requirements=tuple(values["requirements"]),
        scripts=tuple(path.absolute() for path in values["scripts"]),
        project_dir=values["project_dir"],
        lock_file=values["lock_file"].absolute() if values["lock_file"] is not None else None,
        use_lock=not values["no_lock"],
        project=not values["no_project"],
        project_wheel=values.get("project_wheel"),
        build_requirements=not values["no_build_requirements"],
        extras=frozenset(values["extras"]) if values["extras"] else None,
        groups=frozenset(values["groups"]) if values["groups"] else None,
        all_extras=values["all_extras"],
        all_groups=values["all_groups"],
        sets=frozenset({only}) if only else frozenset({"runtime", "development"}),
    )


def build_options_from(values: Mapping[str, Any], **more: Any) -> Any:
    """How a wheelhouse is made, as the shared options say (a ``workflow.request.BuildOptions``), and ``more``."""
    from hardtack.workflow.request import BuildOptions

    return BuildOptions(
        output=values["output"],
        layout=values["layout"],
        prune=values["prune"],
        trial=not values["no_trial"],
        keep_incomplete=values["keep_incomplete"],
        jobs=values["jobs"],
        require_stated_hashes=values["require_stated_hashes"],
        require_sandbox=values["require_sandbox"],
        build_lock=not values["no_build_lock"],
        build_root=values["build_root"].absolute() if values["build_root"] is not None else None,
        build_jobs=values["build_jobs"],
        build_twice=values["build_twice"],
        with_sdists=values["with_sdists"],
        keep_foreign=values["keep_foreign"],
        **more,
    )


def _from_here(location: str) -> str | Path:
    """A file named on the command line lies where the command is given, wherever the project is; a URL is left alone."""
    return location if "://" in location else Path(location).absolute()


def _names(values: tuple[str, ...]) -> frozenset[str]:
    from packaging.utils import canonicalize_name

    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    while ":none:" in names:  # as in pip, it undoes what stands before it
        del names[: names.index(":none:") + 1]
    return frozenset(name if name == ":all:" else canonicalize_name(name) for name in names)


def targets_from(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The targets that are named or described."""
    return (*values["targets"], *_described_targets(values))


def _described_targets(values: Mapping[str, Any]) -> list[Any]:
    """Targets given as pip's four flags, or as files that a probe or pex wrote."""
    import json

    from hardtack.errors import InputError, UsageError
    from hardtack.targets.catalog import from_complete_platform, from_pip_flags
    from hardtack.targets.probe import from_probe

    found: list[Any] = []
    if values["platforms"]:
        if not values["python_versions"]:
            raise UsageError("--platform needs --python-version", hint="or name the target: --target py312-linux-x86_64")
        found += [
            from_pip_flags(
                platforms=values["platforms"],
                python_version=version,
                implementation=values["implementation"] or "cp",
                abis=values["abis"],
            )
            for version in values["python_versions"]
        ]
    for path in values["complete_platforms"]:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"not a description of a target: {error}", where=str(path)) from error
        if not isinstance(data, dict):
            raise InputError("not a description of a target: a JSON object is wanted", where=str(path))
        if "compatible_tags" in data:
            found.append(from_complete_platform(data, where=str(path)))
        else:
            found.append(from_probe(data, where=str(path)))
    return found
