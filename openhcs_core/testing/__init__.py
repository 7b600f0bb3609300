"""Conformance kits for extensions; they need pytest and the libraries under test."""
