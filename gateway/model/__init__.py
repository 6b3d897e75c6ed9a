"""Values that every part shares: no I/O, no clock, no library beyond numpy."""
