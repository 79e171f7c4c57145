"""Shapes, costs and diagrams of a model, and which rows move which of its parts."""
