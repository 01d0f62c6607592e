"""Screens judged side by side on the same events: what they reject, what they lose, and what could be known at all."""
