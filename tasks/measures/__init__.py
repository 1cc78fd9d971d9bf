"""What a build's report says: outcomes, diversity and style, in numbers."""
