"""What pages and routes both call: every rule about what is shown and allowed lives here."""
