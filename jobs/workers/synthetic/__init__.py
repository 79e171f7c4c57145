"""A synthetic log with known truth: what each row is, and who comes when."""
