"""One step of the work a file: read, render, draw, verify, curate, export."""
