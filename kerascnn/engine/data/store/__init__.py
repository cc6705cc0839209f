"""The packed store: every image is decoded and resized once, and found again by its content."""
