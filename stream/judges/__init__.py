"""What says of a candidate how probably a particle made it: one way of looking per file."""
