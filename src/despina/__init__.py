"""Despina."""
