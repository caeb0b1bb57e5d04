"""Read what lies in a folder: names, layouts, depths, pixels."""
