"""What Ansible carries to a target; the project's own files stand here as links."""
