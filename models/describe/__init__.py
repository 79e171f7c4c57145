"""Shapes, costs and diagrams of a model, before anything is trained."""
