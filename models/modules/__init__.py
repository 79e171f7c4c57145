"""Modules that architectures are built from, and the interface of architectures."""
