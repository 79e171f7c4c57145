"""What runs outside of the driver: in Spark workers and in training processes."""
