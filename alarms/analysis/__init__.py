"""Pure numbers that detectors and pages share."""
