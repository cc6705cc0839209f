"""The process and its machine: backend, devices, files, cache, addresses and commands."""
