"""Metrics of generated images: a file each, on features, pairs of images or a classifier's answers."""
