"""The part of ansible-core that this project uses, typed: ansible-core carries no types."""
