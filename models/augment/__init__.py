"""Augment what D sees."""
