"""Data sets and the scripts that make or fetch them; a package, so that no other one of this name takes its place."""
