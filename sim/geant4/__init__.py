"""Particle transport: cosmic-ray protons through a mass model with Geant4, their energy deposits into a hit library."""
