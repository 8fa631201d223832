"""The lab server: what the conformance suite cannot see from outside."""
