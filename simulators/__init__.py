"""Stand where the devices stand: a simulated city that answers over real sockets."""
