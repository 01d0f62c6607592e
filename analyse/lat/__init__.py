"""One region of the gamma-ray sky, thoroughly: one source, its neighbours and the diffuse light fitted together."""
