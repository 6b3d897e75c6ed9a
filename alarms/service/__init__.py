"""What customers are promised: clocks of tickets, working days, escalation and call-backs."""
