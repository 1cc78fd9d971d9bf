"""What decides whether a sample is right: a file for each verifier, the protocol, the registry, folders for what they share."""
