"""Promises, measured: each row of docs/promises.md has a command here that shows its figure, and fails where it is missed."""
