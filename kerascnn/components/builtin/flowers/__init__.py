"""The dataset `flowers`: rendered flower images, for experiments that need no download."""
