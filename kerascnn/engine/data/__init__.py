"""Images and files: reading, downloading, packing, batching."""
