"""Which labels are probably wrong, and which images are odd: without training a network."""
