"""What is typed and what is printed: the commands, their arguments, and what a person sees meanwhile."""
