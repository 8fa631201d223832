# An endpoint as the role finds it at first: a machine of the lab with the stub client installed, running and unconfigured, and
# a user who has not started it yet. Built from lab/client.
ARG SUITE
FROM rustdesk-lab/host:${SUITE}

# The package's own scripts talk to systemd, which runs only in the machine.
COPY . /tmp/client
RUN /tmp/client/pack /tmp/rustdesk.deb \
 && SYSTEMD_OFFLINE=1 dpkg --install /tmp/rustdesk.deb \
 && rm -r /tmp/client /tmp/rustdesk.deb \
 && useradd --create-home --shell /bin/bash anna
