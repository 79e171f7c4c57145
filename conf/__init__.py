"""What to run: YAML layers and the typed, frozen schema that they are read into."""
