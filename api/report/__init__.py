"""The report of an analysis: one HTML file for people, with nothing outside it."""
