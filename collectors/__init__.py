"""Collectors bring readings in: one file and one line in `COLLECTORS` for each kind."""
