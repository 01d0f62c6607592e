"""From training to ONNX, with parity and a card."""
