"""What all packages share: errors, the typed schema and loader of the configuration, the encoder's data."""
