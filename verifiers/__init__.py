"""What decides whether a sample is right: one verifier a file, the sandbox, the protocol and the registry."""
