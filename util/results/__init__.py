"""Write what test.py makes."""
