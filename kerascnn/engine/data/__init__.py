"""Pictures and files: reading, downloading, packing, batching."""
