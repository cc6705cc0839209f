"""Images and files: downloaded, read, divided into splits, prepared, packed and batched."""
