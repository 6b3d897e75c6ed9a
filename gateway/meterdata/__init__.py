"""Makes readings comparable: pure functions."""
