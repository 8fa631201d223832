package proof

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"time"

	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/wire"
)

const (
	// relayBytes is sent each way: few enough to be under way at once (RFC 6928).
	relayBytes  = 8 * 1024
	markerBytes = 32
	// raceGrace is how long one side may be closed before the other until the two requests must have met in the same instant:
	// hbbr looks a uuid up and stores it in two steps (rustdesk-server src/relay_server.rs, make_pair_).
	raceGrace = 500 * time.Millisecond
)

// side is one of two connections that ask hbbr for the same uuid, and what has arrived on it.
type side struct {
	*connection
	sends    []byte
	received []byte
	closed   bool
}

type pair [2]*side

func (p pair) isOneDrivenOut() bool {
	return p[0].closed != p[1].closed && len(p[0].received) == 0 && len(p[1].received) == 0
}

func (p pair) areClosed() bool { return p[0].closed && p[1].closed }

func (p pair) head() []byte {
	for _, one := range p {
		if len(one.received) > 0 {
			return one.received[:min(len(one.received), headBytes)]
		}
	}
	return nil
}

// passed returns how many of the first bytes that one side sent have reached the other unchanged.
func (p pair) passed() int {
	most := 0
	for index, one := range p {
		got := one.received[:min(len(one.received), markerBytes)]
		if bytes.HasPrefix(p[1-index].sends, got) {
			most = max(most, len(got))
		}
	}
	return most
}

// meet lets two connections ask hbbr for the same uuid and send each other random bytes, without waiting, as clients do: hbbr
// answers nothing, it either closes or passes on what comes. It starts again when the two requests crossed inside hbbr.
func (p *prover) meet(ctx context.Context, key string, size int, isDone func(pair) bool) (pair, error) {
	at, err := p.hbbrDoor()
	if err != nil {
		return pair{}, err
	}
	end, _ := ctx.Deadline()
	for {
		met, err := p.meetOnce(ctx, at, key, size, isDone)
		if err != nil || !met.isOneDrivenOut() || time.Until(end) < 2*pause {
			return met, err
		}
	}
}

// arrival is what came on a side; nothing stands for its end.
type arrival struct {
	on   *side
	data []byte
}

func (p *prover) meetOnce(ctx context.Context, at *door, key string, size int, isDone func(pair) bool) (pair, error) {
	request := wire.Fields{"uuid": randomText(16), "licence_key": key}
	frame, err := wire.Frame(wire.Encode(wire.Message{Kind: wire.RequestRelay, Fields: request}))
	if err != nil {
		return pair{}, err
	}
	var met pair
	for index := range met {
		on, err := connect(ctx, at, p.patience, 0)
		if err != nil {
			return pair{}, err
		}
		defer on.Close()
		met[index] = &side{connection: on, sends: make([]byte, size)}
		_, _ = rand.Read(met[index].sends)
	}
	if met[0].watch(); met[0].closed {
		return pair{}, fail(HungUp, at, "%s closes connections before anything is asked", at.name())
	}
	end, _ := ctx.Deadline()
	for _, one := range met {
		_ = one.SetReadDeadline(end)
	}
	_, _ = met[0].Write(frame)
	if met[0].watch(); !met[0].closed {
		_ = met[0].SetReadDeadline(end)
	}
	_, _ = met[1].Write(frame)

	over := make(chan struct{})
	defer close(over)
	arrivals := make(chan arrival)
	for _, one := range met {
		go func() { _, _ = one.Write(one.sends) }()
		go one.collect(size, arrivals, over)
	}
	for !isDone(met) && !met.areClosed() {
		patience := time.Until(end)
		if met.isOneDrivenOut() {
			patience = min(raceGrace, patience)
		}
		select {
		case came := <-arrivals:
			came.on.take(came.data)
		case <-time.After(patience):
			return met, nil
		}
	}
	return met, nil
}

// watch waits a moment for bytes or the end of the connection.
func (s *side) watch() {
	_ = s.SetReadDeadline(time.Now().Add(pause))
	buffer := make([]byte, readBytes)
	size, err := s.Read(buffer)
	if size > 0 || !os.IsTimeout(err) {
		s.take(buffer[:size])
	}
}

func (s *side) take(data []byte) {
	s.received = append(s.received, data...)
	s.closed = s.closed || len(data) == 0
}

// collect passes on what comes until the other side closes, more came than was sent, time is up, or nobody wants it any more.
func (s *side) collect(limit int, arrivals chan<- arrival, over <-chan struct{}) {
	for got := 0; got <= limit; {
		buffer := make([]byte, readBytes)
		size, err := s.Read(buffer)
		if size == 0 && os.IsTimeout(err) {
			return
		}
		got += size
		select {
		case arrivals <- arrival{s, buffer[:size]}:
		case <-over:
			return
		}
		if size == 0 {
			return
		}
	}
}

// checkMet fails with the reason unless something sent by one side reached the other.
func checkMet(at *door, met pair) error {
	passed := met.passed()
	switch {
	case passed == markerBytes:
		return nil
	case passed > 0:
		return fail(RelayIncomplete, at, "no more than %d bytes pass through %s", passed, at.name())
	case met.head() != nil:
		return strangeBytes(at, met.head(), say.T("neither side sent them"))
	case met.areClosed():
		return fail(RelayKeyRefused, at, "%s closes the connections of this key", at.name())
	}
	return fail(RelaySilent, at, "%s neither connects two clients nor refuses them", at.name())
}

func (p *prover) relayAccepted(ctx context.Context) (say.Text, error) {
	met, err := p.meet(ctx, p.target.Key, markerBytes, func(met pair) bool {
		return len(met[0].received) >= markerBytes || len(met[1].received) >= markerBytes
	})
	if err == nil {
		at, _ := p.hbbrDoor()
		err = checkMet(at, met)
	}
	return say.T("hbbr connects two clients that have this key"), err
}

func (p *prover) relayBytes(ctx context.Context) (say.Text, error) {
	met, err := p.meet(ctx, p.target.Key, relayBytes, func(met pair) bool {
		return len(met[0].received) >= relayBytes && len(met[1].received) >= relayBytes
	})
	if err != nil {
		return say.Text{}, err
	}
	at, _ := p.hbbrDoor()
	if err := checkMet(at, met); err != nil {
		return say.Text{}, err
	}
	counts := [2]int{}
	for index, sender := range met {
		got, sent := met[1-index].received, sender.sends
		for place := range min(len(got), len(sent)) {
			if got[place] != sent[place] {
				return say.Text{}, fail(RelayCorrupt, at, "byte %d was changed on %s", place, at.name())
			}
		}
		counts[index] = len(got)
	}
	if counts != [2]int{relayBytes, relayBytes} {
		return say.Text{}, fail(RelayIncomplete, at, "of %d bytes each way through %s, %d and %d arrived", relayBytes, at.name(),
			counts[0], counts[1])
	}
	return say.T("%d bytes each way arrive unchanged", relayBytes), nil
}

func (p *prover) relayEnforced(ctx context.Context) (say.Text, error) {
	at, err := p.hbbrDoor()
	if err != nil {
		return say.Text{}, err
	}
	wrong := p.wrongKeys()
	failures := make([]error, len(wrong))
	sideBySide(len(wrong), func(index int) {
		name := wrong[index].name
		met, err := p.meet(ctx, wrong[index].key, markerBytes, func(met pair) bool {
			return len(met[0].received) > 0 || len(met[1].received) > 0
		})
		switch {
		case err != nil:
			failures[index] = err
		case met.passed() > 0:
			failures[index] = fail(RelayOpen, at, "hbbr connects two clients that have %s", name)
		case met.head() != nil:
			failures[index] = strangeBytes(at, met.head(), say.T("neither side sent them"))
		case !met.areClosed():
			failures[index] = fail(RelaySilent, at, "%s does not close connections that have %s", at.name(), name)
		}
	})
	for _, failure := range failures {
		if failure != nil {
			return say.Text{}, failure
		}
	}
	return say.T("hbbr refuses a wrong key and no key"), nil
}
