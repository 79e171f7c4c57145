"""One file per architecture: `ARCHITECTURE` at its end is what a model YAML names."""
