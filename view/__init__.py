"""The live view: a page in the browser. It reads, and nobody waits for it."""
