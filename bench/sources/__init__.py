"""The figures of the page on X-ray sources."""
