"""Stellar coronae of known truth."""
