"""A plan's files come into the store."""
