"""What architectures are made of, and the frame around them."""
