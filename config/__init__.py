"""Typed configuration."""

import os

# onnxruntime sends home what it runs on, and notes an identity in the user's folder. It reads this when it is imported;
# every floor imports this one first, and processes inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
