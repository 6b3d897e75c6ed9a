"""Pages: each gathers elements and calls services; it has no rule of its own."""
