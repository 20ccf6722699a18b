"""Requirements and targets become a lock, by uv; and what a lock is exported to."""
