"""From training to ONNX; comes with the first model."""
