"""The gamma-ray sky of known truth: mock catalogues, background that is never quite the model, photons."""
