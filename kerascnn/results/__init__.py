"""Finished runs: finding, comparing, reporting, applying, explaining and exporting them."""
