"""Targets are data: the catalog, names and aliases, tag lists, and the probe of a real interpreter."""
