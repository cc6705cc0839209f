"""The best classifier within a time: networks are tried from quick to good, and the best is run."""
