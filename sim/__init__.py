"""Known truth: simulated frames."""
