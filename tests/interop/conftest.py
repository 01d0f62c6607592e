from tests.serve.conftest import files, until

__all__ = ["files", "until"]
