"""One step of the work a file, from prepare to export and report; a folder for what several files do together."""
