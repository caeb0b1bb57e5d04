"""Download data sets by name."""
