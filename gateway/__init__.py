"""gasgate: reads a city's gas meters and gas network, and sends a crew before anyone is hurt."""

__version__ = "0.1.0"
