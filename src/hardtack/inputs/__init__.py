"""What the user has becomes Requirements or a Lock."""
