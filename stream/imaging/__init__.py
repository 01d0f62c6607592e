"""Images of the sky: sources are found and measured, and what lies between them is mapped."""
