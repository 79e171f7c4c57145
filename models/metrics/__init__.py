"""Metrics as states that add up over batches, partitions and ranks."""
