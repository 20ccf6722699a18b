"""Requirements resolved from a run's indexes: the project's for its targets, a build's for its interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from packaging.version import Version

from hardtack.errors import IndexFault, LockError
from hardtack.locking.lock import LockSettings, lock
from hardtack.locking.resolver import KnownMetadata, NeedsMetadata
from hardtack.locking.uv_resolver import UvResolver
from hardtack.model.index import IndexFile
from hardtack.model.lock import Lock
from hardtack.model.requirements import Requirements
from hardtack.model.target import Target
from hardtack.reporting import Reporter
from hardtack.system import environ
from hardtack.system.cancellation import Cancellation
from hardtack.workflow.supplies import Supplies

# What the indexes offer of the project that is asked about.
Offered = Callable[[], Mapping[Version, Sequence[IndexFile]]]
# What a source requires that no index tells: judged, and its backend asked in the sandbox.
Describe = Callable[[NeedsMetadata, Offered], KnownMetadata]


def resolve(
    requirements: Requirements,
    targets: Sequence[Target],
    settings: LockSettings,
    *,
    supplies: Supplies,
    describe: Describe,
    reporter: Reporter,
    stop: Cancellation,
) -> Lock:
    """The lock of ``requirements`` for ``targets``. Raises LockError with the resolver's explanation, IndexFault for an index's fault."""

    def availability(name: str, indexes: Sequence[str] | None = None) -> Mapping[Version, Sequence[IndexFile]]:
        found: dict[Version, tuple[IndexFile, ...]] = {}
        for page in supplies.client.files(name, indexes):
            for version, files in page.files.items():
                found[version] = (*found.get(version, ()), *files)
        return found

    try:
        return lock(
            requirements,
            targets,
            resolver=UvResolver(
                uv=supplies.uv,
                python=environ.interpreter(),
                python_version=environ.python_version(),
                settings=supplies.uv_settings,
                stop=stop,
                reporter=reporter,
                ask=supplies.client.files,
            ),
            availability=availability,
            describe=lambda question: describe(question, lambda: availability(question.name, question.indexes)),
            settings=settings,
            reporter=reporter,
        )
    except (LockError, IndexFault):
        _ask_the_indexes(requirements, supplies)
        raise


def _ask_the_indexes(requirements: Requirements, supplies: Supplies) -> None:
    """A resolver may take "denied" for "not there": ask for each root ourselves, so that an index's own fault is what is told."""
    for name in sorted({root.requirement.name for root in requirements.roots if root.requirement.url is None and root.path is None}):
        supplies.client.files(name)
