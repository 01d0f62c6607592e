"""Speed and quality, measured beside the rivals; figures go to docs/figures."""
