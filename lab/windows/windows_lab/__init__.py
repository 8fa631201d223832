"""A stand-in for PowerShell on a machine that runs Wine: what ``ansible-core`` sends is decoded, and modelled.

Registry, services, processes and installers are Wine's own and real. Files follow Windows' rules on a Linux file
system. Firewall rules are kept where Windows keeps them, and filter nothing. ``lab/windows/README.md`` has the list.
"""
