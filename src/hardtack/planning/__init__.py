"""Pure: a lock and targets become a plan; and why each candidate was or was not taken."""
