"""What hbbs and hbbr do, stated over real sockets and run against whichever server is there.

    pytest tests/conformance --server=NAME --key=PUBLIC_KEY [--relay=HOST[:PORT]] [--relay-only] [--always-relay]
                             [--console-exec=COMMAND]

It needs Python 3.11 or newer, pytest 7 or newer and PyNaCl, nothing else of this repository, and root: it gives its
network interface further addresses (to be several devices) and takes them away again. It runs from another machine
than the server's, because connections from the server itself get the consoles. Its own small codec (``wire``) is
independent of both the lab server's and the probe's.

Two runs may follow each other at once: ids and source addresses are random. The waits of 30 s run side by side in the
background while the other tests run, and are judged at the end.
"""
