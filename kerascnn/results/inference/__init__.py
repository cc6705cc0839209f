"""The model of a run applied to images: predict, evaluate."""
