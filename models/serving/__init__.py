"""What a trained model leaves, and how it is read and scored."""
