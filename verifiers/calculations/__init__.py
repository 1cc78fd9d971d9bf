"""The equations that a text states: found token by token, computed again, and excused where they may be meant otherwise."""
