"""Run a training step fast: precision, layout, compiling, recording."""
