"""How a build goes wrong by somebody's doing: the backend's, or that of the user who says how to build."""

from __future__ import annotations

from hardtack.errors import BuildFault


class BadBackend(BuildFault):
    """A backend answered with something that is not an answer."""

    slug = "backend"


class WrongWheel(BadBackend):
    """A backend returned something else than the one wheel that was asked for."""

    slug = "wrong-wheel"


class BuildRequirementFault(BuildFault):
    """What a source needs to be built cannot be had."""

    slug = "build-requirements"


class RecipeFault(BuildFault):
    """What the user says of how to build a package cannot be done."""

    slug = "recipe"
