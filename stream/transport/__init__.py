"""Everything that knows a socket or a file."""
