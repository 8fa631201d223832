"""Tests of what runs without a lab."""
