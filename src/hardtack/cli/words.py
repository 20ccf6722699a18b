"""What was typed, so that a command in an answer can say it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from hardtack.planning.remedies import Typed

# How an answer looks, and where it is for: not what is asked for.
_LEFT_OUT = frozenset(
    {"package", "requirements", "as_json", "form", "quiet", "verbose", "yes", "output", "wheelhouse", "dry_run", "cache_dir",
     "targets", "platforms", "python_versions", "implementation", "abis", "complete_platforms"}
)  # fmt: skip


def typed_from(context: click.Context, request: Any, *, requirements: Iterable[str]) -> Typed:
    """The words of this command line that other verbs take too, without the logins of URLs."""
    from hardtack.planning.remedies import Typed

    asked: list[str] = [_shown(word) for word in requirements]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in _LEFT_OUT or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        option = max(parameter.opts, key=len)
        value = context.params[name]
        if isinstance(parameter, click.Option) and parameter.is_flag:
            asked.append(option)
            continue
        for one in value if isinstance(value, tuple) else (value,):
            asked += [option, _shown(str(one))]
    output = context.params.get("output")
    return Typed(
        asked=tuple(asked),
        targets=tuple(target if isinstance(target, str) else target.name for target in request.targets),
        output=("-o", str(output)) if output is not None else (),
    )


def _shown(word: str) -> str:
    if "://" not in word:
        return word
    from hardtack.wheelhouse.pylock_packages import without_credentials

    return without_credentials(word)
