"""gasgate: reads a city's gas meters and gas network, and sends a crew before anyone is hurt."""

import os

__version__ = "0.1.0"

# The matrices of an analysis are small, and each process has its share of the cores: threads of the library for
# linear algebra only wait for each other. It looks at this once, when numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
