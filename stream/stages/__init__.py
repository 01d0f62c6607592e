"""One step of the stream per file."""
