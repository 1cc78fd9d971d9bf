"""Asking one teacher through batches: hours later, at a lower price."""
