"""What a judge is shown, what it may answer, and what comes of several judges."""
