"""Classes of X-ray sources: Bayesian fusion of what was measured of each, and a challenger."""
