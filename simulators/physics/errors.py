"""What the physics refuses."""

from __future__ import annotations


class PhysicsError(ValueError):
    """Pressures or flows that no real network shows; the message names zone, place, value and remedy."""


class NotConvergedError(PhysicsError):
    """The solver found no steady state."""


class NotPhysicalError(PhysicsError):
    """The solver found a state that cannot be."""
