"""Mathematical answers: how they are read, and whether two are equal."""
