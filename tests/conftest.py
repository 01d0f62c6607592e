import os

from hypothesis import settings

# Machines are shared: no test fails for being slow. CI judges the change, not the luck of a draw.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
