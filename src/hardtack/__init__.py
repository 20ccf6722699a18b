"""hardtack provisions Python for hosts without a package index.

>>> from pathlib import Path
>>> from hardtack import BuildOptions, InputRequest, Request, build, verify
>>> request = Request(inputs=InputRequest(requirements=("flask",)), targets=("py312-linux-x86_64",))
>>> result = build(request, BuildOptions(output=Path("wheelhouse")))  # doctest: +SKIP
>>> result.passed  # doctest: +SKIP
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardtack.indexing.settings import IndexFlags
    from hardtack.inputs.read import InputRequest
    from hardtack.reporting import Reporter
    from hardtack.workflow.build import build
    from hardtack.workflow.diff import DiffResult, diff
    from hardtack.workflow.fix import FixResult, fix
    from hardtack.workflow.installed import EnvironmentResult, verify_environment
    from hardtack.workflow.lock import LockResult, lock
    from hardtack.workflow.merge import MergeResult, merge
    from hardtack.workflow.outcome import BuildResult
    from hardtack.workflow.request import BuildOptions, Request
    from hardtack.workflow.verify import VerifyResult, verify
    from hardtack.workflow.why import WhyResult, why

from hardtack.version import __version__

__all__ = [
    "BuildOptions",
    "BuildResult",
    "DiffResult",
    "EnvironmentResult",
    "FixResult",
    "IndexFlags",
    "InputRequest",
    "LockResult",
    "MergeResult",
    "Reporter",
    "Request",
    "VerifyResult",
    "WhyResult",
    "__version__",
    "build",
    "diff",
    "fix",
    "lock",
    "merge",
    "verify",
    "verify_environment",
    "why",
]

_HOMES = {
    "BuildOptions": "hardtack.workflow.request",
    "BuildResult": "hardtack.workflow.outcome",
    "DiffResult": "hardtack.workflow.diff",
    "EnvironmentResult": "hardtack.workflow.installed",
    "FixResult": "hardtack.workflow.fix",
    "IndexFlags": "hardtack.indexing.settings",
    "InputRequest": "hardtack.inputs.read",
    "LockResult": "hardtack.workflow.lock",
    "MergeResult": "hardtack.workflow.merge",
    "Reporter": "hardtack.reporting",
    "Request": "hardtack.workflow.request",
    "VerifyResult": "hardtack.workflow.verify",
    "WhyResult": "hardtack.workflow.why",
    "build": "hardtack.workflow.build",
    "diff": "hardtack.workflow.diff",
    "fix": "hardtack.workflow.fix",
    "lock": "hardtack.workflow.lock",
    "merge": "hardtack.workflow.merge",
    "verify": "hardtack.workflow.verify",
    "verify_environment": "hardtack.workflow.installed",
    "why": "hardtack.workflow.why",
}


def __getattr__(name: str) -> Any:
    """Load a verb where it is used first: `import hardtack` alone stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
