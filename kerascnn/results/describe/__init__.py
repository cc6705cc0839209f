"""A network in numbers: sizes, parameters, cost and receptive field of each layer."""
