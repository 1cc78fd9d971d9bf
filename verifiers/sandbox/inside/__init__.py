"""What runs inside the jail: standard library only. The host binds this folder into the jail, read-only."""
