"""The command line: parses, calls workflow, renders. The only place that prints."""
