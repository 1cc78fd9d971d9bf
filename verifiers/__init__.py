"""What decides whether a sample is right: one verifier a file, the protocol, the registry, and a folder for what several share."""
