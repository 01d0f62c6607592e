"""The simulated cosmic rays beside what is known of them; `python -m bench.simulation` writes docs/simulation.md."""
