"""The tests; a package, because others install one of that name too."""
