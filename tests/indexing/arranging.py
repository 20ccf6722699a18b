"""What the tests of this room start from: settings that see nothing of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardtack.indexing.credentials import Credentials
from hardtack.indexing.layers import ConfigurationFiles
from hardtack.indexing.settings import IndexFlags, IndexSettings, read_settings
from hardtack.model.requirements import IndexOptions


def settled(
    flags: IndexFlags | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    options: IndexOptions | None = None,
    tables: Sequence[Mapping[str, Any]] = (),
    pins: Sequence[tuple[str, str]] = (),
    project_dir: Path | None = None,
    uv: Sequence[Path] = (),
    pip: Sequence[Path] = (),
    project: Path | None = None,
    offline: bool = False,
) -> tuple[IndexSettings, Credentials]:
    """Settings of exactly what is given."""
    return read_settings(
        flags or IndexFlags(),
        environment=environment or {},
        options=options,
        tables=tables,
        pins=pins,
        project_dir=project_dir,
        offline=offline,
        files=ConfigurationFiles(uv=tuple(uv), pip=tuple(pip), project=project),
    )


def urls(settings: IndexSettings) -> list[str]:
    """The indexes' URLs in the order of their priority."""
    return [index.url for index in settings.indexes]
