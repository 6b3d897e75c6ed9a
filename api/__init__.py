"""REST and pages on one FastAPI app."""
