"""X-ray sources of known truth, and the plasma that some of them shine with."""
