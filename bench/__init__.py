"""What hardtack costs, against the tools that do the same, in one run on one machine."""
