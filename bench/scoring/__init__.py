"""What a score of a pair costs."""
