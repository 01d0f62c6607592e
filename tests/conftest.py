import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)  # CI judges the change, not the luck of a draw
if os.environ.get("CI"):
    settings.load_profile("ci")
