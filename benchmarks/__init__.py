"""Runnable measurements: `python -m benchmarks NAME [--quick] [--json FILE]`; without a name they are listed."""

import gateway  # noqa: F401 - before numpy: it tells linear algebra to use one thread, as in every running process
