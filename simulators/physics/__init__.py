"""What gas does in the pipes of a zone: pressures, leaks, packed gas, and the regulator that feeds them."""
