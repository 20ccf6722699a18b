"""The nouns of the house: frozen, slotted, keyword-only values without I/O."""
