"""An ensemble: several runs as one classifier."""
