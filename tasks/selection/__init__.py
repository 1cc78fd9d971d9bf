"""What `select` may go by beside scores and lengths: strategies, difference, what a student can learn, and its split."""
