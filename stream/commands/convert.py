"""`raysieve convert`: event and pixel lists of missions, as recordings of the frames they were found in."""
