"""Composition: builds, starts, reloads, drains and stops one gateway process."""
