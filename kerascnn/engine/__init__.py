"""The engine: data, network, metrics and training."""
