"""Write the simulated city as files: the network folder, a history, and an examination with its truth."""
