"""One file per ticketing system."""
