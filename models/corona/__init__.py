"""The network of stellar coronae: temperature, density and lines of a spectrum, with what it is unsure of."""
