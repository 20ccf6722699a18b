"""What touches the operating system: files, processes, the environment, uv."""
