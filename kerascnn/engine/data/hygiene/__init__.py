"""What is wrong with the images of a dataset: copies, wrong labels, uneven classes."""
