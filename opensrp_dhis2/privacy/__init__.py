"""The search for what must not leave the warehouse."""
