"""What lies on disk: the store, a wheel's bytes read into facts, the layout, the simple index."""
