"""The second half of seed 003's filter: a forest that judges each event by the class activation maps around it."""
