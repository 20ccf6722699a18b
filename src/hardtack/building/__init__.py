"""Source archives become wheels: contained, recorded, and only the one wheel that was asked for comes out."""
