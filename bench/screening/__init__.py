"""The screens beside the traditional filter and the seed; `python -m bench.screening` writes docs/screening.md."""
