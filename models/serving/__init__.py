"""Bundles of trained models: writing, reading, calibration, scoring."""
