"""Definitions of transformations, and templates."""
