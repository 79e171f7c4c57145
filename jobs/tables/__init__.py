"""Tables and files: what they are, who writes them, how they are read."""
