package site

import (
	"cmp"
	"net"
	"strconv"

	"rustdesk-launcher/internal/proof"
)

// Target returns where the proofs find the server.
func (s Site) Target() proof.Target {
	target := proof.Target{Host: s.Host, Port: s.Port, RelayHost: s.Host, RelayPort: s.RelayPort, Key: s.Key}
	relay := cmp.Or(s.Relay, s.ProvenRelay)
	if relay == "" {
		return target
	}
	// As clients do it: the port of the relay beside the ID server is no other relay's.
	target.RelayHost, target.RelayPort = unbracketed(relay), DefaultRelayPort
	if host, port, err := net.SplitHostPort(relay); err == nil {
		// The build has checked that it is a number.
		target.RelayHost = host
		target.RelayPort, _ = strconv.Atoi(port)
	}
	return target
}

func unbracketed(host string) string {
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
