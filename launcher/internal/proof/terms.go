// Package proof proves over the wire that a RustDesk server does what its clients need, from where the launcher runs.
//
// Names of proofs and causes, and what to do about each, are those of plugins/module_utils/probe.py, where it is written what
// each proof means; tests/vectors/proofs.json holds both to them. No proof registers anything: the ids that are used begin
// with a parenthesis, which no client can have.
package proof

import (
	"fmt"
	"strings"

	"rustdesk-launcher/internal/say"
)

// Names are all proofs, in the order in which they are reported: causes before their effects.
var Names = []string{
	"dns", "nat_test", "rendezvous_udp", "rendezvous_tcp", "key_accepted", "key_enforced", "relay_accepted", "relay_enforced",
	"relay_bytes",
}

// needKey is the first of the proofs that are skipped without a key.
const needKey = 4

// Cause is why a proof was not given.
type Cause string

// The causes.
const (
	NameUnknown     Cause = "name_unknown"
	NameTimeout     Cause = "name_timeout"
	NameLoopback    Cause = "name_loopback"
	Refused         Cause = "refused"
	Timeout         Cause = "timeout"
	Unreachable     Cause = "unreachable"
	UDPRefused      Cause = "udp_refused"
	UDPSilent       Cause = "udp_silent"
	NoAnswer        Cause = "no_answer"
	Closed          Cause = "closed"
	HungUp          Cause = "hung_up"
	Intercepted     Cause = "intercepted"
	Foreign         Cause = "foreign"
	Unexpected      Cause = "unexpected"
	KeyDiffers      Cause = "key_differs"
	KeyNotChecked   Cause = "key_not_checked"
	RelayKeyRefused Cause = "relay_key_refused"
	RelayOpen       Cause = "relay_open"
	RelaySilent     Cause = "relay_silent"
	RelayIncomplete Cause = "relay_incomplete"
	RelayCorrupt    Cause = "relay_corrupt"
	NoKey           Cause = "no_key"
)

// remedies are what to do next: [1] host, [2] port, [3] protocol, [4] daemon.
var remedies = map[Cause]say.Text{
	NameUnknown: say.T("Correct the name, or create its A or AAAA record."),
	NameTimeout: say.T("Check which name servers this computer uses, and that it reaches them."),
	NameLoopback: say.T("Use a name or address that leads to the server's network interface (check this computer's hosts file): " +
		"on loopback the ports of the NAT test and of the relay are administration consoles."),
	Refused: say.T("Start %[4]s on %[1]s, or open %[2]d/tcp in the firewall that rejects it."),
	Timeout: say.T("Open %[2]d/tcp to %[1]s in the firewalls on the way and on the server, and check that %[1]s is up."),
	Unreachable: say.T("Open %[2]d/%[3]s to %[1]s in the firewall that rejects it, this machine's own outbound rules first, " +
		"and check the route to the server."),
	UDPRefused: say.T("Start hbbs on %[1]s, or open %[2]d/udp in the firewall that rejects it: " +
		"without UDP no client can be controlled."),
	UDPSilent: say.T("Open %[2]d/udp to %[1]s in the firewalls on the way and on the server: " +
		"TCP on the same port is not enough, without UDP no client can be controlled."),
	NoAnswer: say.T("Restart %[4]s on %[1]s; if it stays silent, look for a proxy or firewall that accepts %[2]d/tcp in its place."),
	Closed: say.T("Check that %[2]d/tcp leads to %[4]s itself: behind a proxy that connects from " +
		"127.0.0.1 it takes every client for its administration console."),
	HungUp: say.T("Take this machine's address out of hbbr's blocklist.txt and restart hbbr, " +
		"or repair the proxy in front of %[2]d/tcp that has no hbbr behind it."),
	Intercepted: say.T("Exempt %[2]d/tcp to %[1]s from TLS inspection and web proxies: RustDesk's ports speak neither TLS nor HTTP."),
	Foreign:     say.T("Check which program %[2]d/%[3]s of %[1]s leads to: it is not %[4]s."),
	Unexpected:  say.T("Check the version of %[4]s on %[1]s and its log: the free server does not answer so."),
	KeyDiffers: say.T("Give clients the content of id_ed25519.pub that belongs to hbbs's id_ed25519 (hbbs logs it as 'Key: …' when " +
		"it starts), and restart hbbs if its key was replaced. If it refuses only now and then, two servers share the port."),
	KeyNotChecked: say.T("Make id_ed25519 readable for hbbs's user, start hbbs with -k _ and restart it: its log then has a line " +
		"'Key: …'. Until then it serves everybody, and sessions may not be end-to-end encrypted."),
	RelayKeyRefused: say.T("Start hbbr with the public key of hbbs as -k (or -k _ where both share the key file) " +
		"and restart it. Where hbbs refuses the key as well, the key given here is the wrong one; " +
		"behind a proxy that connects from 127.0.0.1 hbbr closes every connection."),
	RelayOpen: say.T("Start hbbr with -k and the server's public key (or -k _ where it can read the key file) " +
		"and restart it: until then it relays for everybody."),
	RelaySilent:     say.T("Restart hbbr on %[1]s; if it stays silent, look for a proxy or firewall that accepts %[2]d/tcp in its place."),
	RelayIncomplete: say.T("Look for a firewall that holds back data on %[2]d/tcp, and for hbbr's bandwidth limits."),
	RelayCorrupt: say.T("Exempt %[2]d/tcp to %[1]s from every device that rewrites what passes through it " +
		"(application gateway, inspection)."),
	NoKey: say.T("Give the server's public key, the content of id_ed25519.pub."),
}

// failure ends a proof: why, what was seen, and at which door.
type failure struct {
	cause  Cause
	detail say.Text
	door   *door
}

func (f *failure) Error() string { return f.detail.In(say.English) }

func fail(cause Cause, door *door, format string, args ...any) error {
	return &failure{cause, say.T(format, args...), door}
}

func (f *failure) remedy() say.Text {
	found := remedies[f.cause]
	if f.door != nil && strings.Contains(found.Format, "%[") {
		found.Args = []any{f.door.host, f.door.port, f.door.protocol, f.door.daemon}
	}
	return found
}

// Target is the server to prove: hbbs at Host and Port, hbbr at RelayHost and RelayPort.
type Target struct {
	Host      string
	Port      int
	RelayHost string
	RelayPort int
	Key       string
}

// Result is what became of one proof.
type Result struct {
	Name      string
	State     string // passed, failed or skipped
	LatencyMS *float64
	Detail    say.Text
	Cause     Cause
	Remedy    say.Text
}

// Report is everything that was found out; addresses are empty where a name does not resolve.
type Report struct {
	Target       Target
	Address      string
	RelayAddress string
	Proofs       []Result
}

// Passed tells whether at least one proof was given and none failed.
func (r Report) Passed() bool {
	return len(r.with("passed")) > 0 && len(r.with("failed")) == 0
}

func (r Report) with(state string) []Result {
	found := []Result{}
	for _, result := range r.Proofs {
		if result.State == state {
			found = append(found, result)
		}
	}
	return found
}

// Message is one sentence: the failed proofs with the first one's detail and remedy, or the success.
func (r Report) Message() say.Text {
	failed, skipped := r.with("failed"), r.with("skipped")
	if len(failed) > 0 {
		names := []string{}
		for _, result := range failed {
			names = append(names, result.Name)
		}
		return say.T("RustDesk at %s failed %s: %s. %s", r.Target.Host, strings.Join(names, ", "), failed[0].Detail, failed[0].Remedy)
	}
	if len(skipped) == len(r.Proofs) {
		return say.T("Nothing was proven: %s. %s", skipped[0].Detail, skipped[0].Remedy)
	}
	place := r.Target.Host
	if r.Address != place {
		place = fmt.Sprintf("%s (%s)", place, r.Address)
	}
	if len(skipped) > 0 {
		return say.T("RustDesk at %s passed %d proofs, %d skipped: %s", place, len(r.Proofs)-len(skipped), len(skipped),
			skipped[0].Detail)
	}
	return say.T("RustDesk at %s passed %d proofs", place, len(r.Proofs))
}
