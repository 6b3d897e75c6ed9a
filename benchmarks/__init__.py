"""Runnable measurements: `python -m benchmarks NAME [--quick] [--json FILE]`; without a name they are listed."""
