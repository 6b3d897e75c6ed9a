"""The simulated city's meters: what their registers count and show, and when their readings reach the company."""
