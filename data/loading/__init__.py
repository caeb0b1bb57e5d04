"""Serve a data set in batches: cache, loader, prefetching."""
