"""Multi-task models in pure torch: layers, architectures, losses, training and scoring. No Spark here."""
