"""Training: reader, losses, optimisers, the loop, and one process of it."""
