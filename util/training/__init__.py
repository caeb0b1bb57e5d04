"""Run the training loop and keep what it leaves on disk."""
