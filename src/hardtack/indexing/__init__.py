"""Indexes: their settings, credentials, transport, and pages."""
