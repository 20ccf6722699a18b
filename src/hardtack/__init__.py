"""hardtack provisions Python for hosts without a package index."""

__version__ = "0.1.0"
