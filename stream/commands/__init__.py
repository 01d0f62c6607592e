"""The command line of the stream."""
