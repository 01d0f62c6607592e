"""The stream: messages, kernels, stages, transport, wiring."""
