"""What a stage trains on: one device, or several that take equal parts of each batch."""
