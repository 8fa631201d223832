package proof

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"rustdesk-launcher/internal/say"
)

// Patience is how long each proof may take.
const Patience = 3 * time.Second

// prover has what the proofs have in common; a daemon without an address has the reason instead.
type prover struct {
	target   Target
	names    []resolution
	hbbs     reached
	hbbr     reached
	patience time.Duration
}

type reached struct {
	address netip.Addr
	failure error
}

func (p *prover) hbbsDoor(offset int, protocol string) (*door, error) {
	if p.hbbs.failure != nil {
		return nil, p.hbbs.failure
	}
	return &door{p.target.Host, p.hbbs.address, p.target.Port + offset, "hbbs", protocol}, nil
}

func (p *prover) hbbrDoor() (*door, error) {
	if p.hbbr.failure != nil {
		return nil, p.hbbr.failure
	}
	return &door{p.target.RelayHost, p.hbbr.address, p.target.RelayPort, "hbbr", "tcp"}, nil
}

// Prove runs all proofs side by side and reports each of them. It takes at most three times the patience.
func Prove(target Target, patience time.Duration) Report { return prove(target, patience, false) }

func prove(target Target, patience time.Duration, allowLoopback bool) Report {
	p := &prover{target: target, patience: patience}
	hosts := []string{target.Host}
	if target.RelayHost != target.Host {
		hosts = append(hosts, target.RelayHost)
	}
	p.names = make([]resolution, len(hosts))
	chosen := make([]reached, len(hosts))
	ports := []int{target.Port, target.RelayPort}
	sideBySide(len(hosts), func(index int) {
		p.names[index] = resolve(hosts[index], patience, allowLoopback)
		chosen[index].failure = p.names[index].failure
		if chosen[index].failure == nil {
			chosen[index].address = choose(p.names[index].addresses, ports[index], patience)
		}
	})
	p.hbbs, p.hbbr = chosen[0], chosen[len(chosen)-1]

	report := Report{Target: target, Proofs: make([]Result, len(Names))}
	if p.hbbs.failure == nil {
		report.Address = p.hbbs.address.String()
	}
	if p.hbbr.failure == nil {
		report.RelayAddress = p.hbbr.address.String()
	}
	sideBySide(len(Names), func(index int) { report.Proofs[index] = p.result(index) })
	return report
}

func sideBySide(count int, act func(index int)) {
	var all sync.WaitGroup
	for index := range count {
		all.Go(func() { act(index) })
	}
	all.Wait()
}

// result runs one proof and turns its outcome into a result.
func (p *prover) result(index int) Result {
	name := Names[index]
	if index >= needKey && p.target.Key == "" {
		return Result{Name: name, State: "skipped", Detail: say.T("no key was given"), Cause: NoKey, Remedy: remedies[NoKey]}
	}
	run := map[string]func(context.Context) (say.Text, error){
		"dns": p.dns, "nat_test": p.natTest, "rendezvous_udp": p.rendezvousUDP, "rendezvous_tcp": p.rendezvousTCP,
		"key_accepted": p.keyAccepted, "key_enforced": p.keyEnforced, "relay_accepted": p.relayAccepted,
		"relay_enforced": p.relayEnforced, "relay_bytes": p.relayBytes,
	}[name]
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	start := time.Now()
	detail, err := run(ctx)
	took := time.Since(start)
	if name == "dns" {
		for _, found := range p.names {
			took = max(took, found.took)
		}
	}
	milliseconds := math.Round(took.Seconds()*10000) / 10
	result := Result{Name: name, State: "passed", LatencyMS: &milliseconds, Detail: detail}
	var failed *failure
	if errors.As(err, &failed) {
		result.State, result.Detail, result.Cause, result.Remedy = "failed", failed.detail, failed.cause, failed.remedy()
	} else if err != nil {
		result.State, result.Detail, result.Cause = "failed", say.Of(err), Unexpected
	}
	return result
}
