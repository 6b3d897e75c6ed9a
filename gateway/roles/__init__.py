"""The four roles of gasgate; each runs in a process of its own and ends when told to."""
