"""Runs things: intake, loader, stream, schedules, clocks."""
