"""Pure: facts become findings. Nothing here opens a file, a socket or a process."""
