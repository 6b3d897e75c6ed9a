"""One file per detector; all are pure."""
