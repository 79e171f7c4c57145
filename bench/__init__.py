"""Benchmarks: against peers, against limits, on data of known truth. Results go to docs/benchmarks/."""
