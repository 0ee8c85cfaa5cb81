"""Copies of everything that a gateway has stored, and installations made from them."""
