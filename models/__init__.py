"""Learned models, one folder each; torch and scikit-learn live only here and in export."""
