"""Files of other missions -> recordings of the frames that their events were found in."""
