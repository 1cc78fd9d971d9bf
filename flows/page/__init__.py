"""The report as one page of HTML: what a build is made of, and its samples to read, in a file that asks nobody for anything."""
