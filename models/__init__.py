"""Learned models, one folder each; they come with their issues."""
