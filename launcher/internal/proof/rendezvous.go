package proof

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/wire"
)

const firstResend = 200 * time.Millisecond

func randomText(bytes int) string {
	out := make([]byte, bytes)
	_, _ = rand.Read(out) // never fails (crypto/rand)
	return hex.EncodeToString(out)
}

func unusedID() string { return "(:probe-" + randomText(8) + ":)" }

// wrongKey is a key that must be refused, and what to call it.
type wrongKey struct {
	name say.Text
	key  string
}

// wrongKeys returns one that differs from the right one in its last two bytes only, so that a server which compares lengths
// or beginnings is found out, and none at all.
func (p *prover) wrongKeys() []wrongKey {
	raw, _ := base64.StdEncoding.DecodeString(p.target.Key)
	change := make([]byte, 2)
	_, _ = rand.Read(change)
	for index := range min(2, len(raw)) {
		raw[len(raw)-1-index] ^= 1 + change[index]%255
	}
	return []wrongKey{{say.T("a wrong key"), base64.StdEncoding.EncodeToString(raw)}, {say.T("no key"), ""}}
}

func (p *prover) dns(context.Context) (say.Text, error) {
	for _, found := range p.names {
		if found.failure != nil {
			return say.Text{}, found.failure
		}
	}
	detail := p.used(0, p.hbbs.address.String())
	if len(p.names) > 1 {
		detail = say.T("%s; %s", detail, p.used(1, p.hbbr.address.String()))
	}
	return detail, nil
}

func (p *prover) used(index int, address string) say.Text {
	if len(p.names[index].addresses) > 1 {
		return say.T("%s, %s is used", p.names[index].detail, address)
	}
	return p.names[index].detail
}

func sourcePort(on *connection) (int32, error) {
	answer, err := on.ask(wire.Message{Kind: wire.TestNatRequest}, wire.TestNatResponse)
	if err != nil {
		return 0, err
	}
	port := answer.Number("port")
	if port < 1 || port > 0xffff {
		return 0, fail(Unexpected, on.door, "%s names %d as source port", on.door.name(), port)
	}
	return port, nil
}

// natTest asks both ports from one local port, as a client does (rustdesk src/common.rs).
func (p *prover) natTest(ctx context.Context) (say.Text, error) {
	first, err := p.hbbsDoor(-1, "tcp")
	if err != nil {
		return say.Text{}, err
	}
	second, _ := p.hbbsDoor(0, "tcp")
	low, err := connect(ctx, first, p.patience, 0)
	if err != nil {
		return say.Text{}, err
	}
	defer low.Close()
	high, err := connect(ctx, second, p.patience, low.localPort())
	if err != nil {
		return say.Text{}, err
	}
	defer high.Close()
	seenLow, err := sourcePort(low)
	if err != nil {
		return say.Text{}, err
	}
	seenHigh, err := sourcePort(high)
	if err != nil {
		return say.Text{}, err
	}
	own, other := low.localPort(), high.localPort()
	switch {
	case int(seenLow) == own && int(seenHigh) == other:
		return say.T("no port translation on the way: %d and %d see source port %d", first.port, second.port, seenLow), nil
	case own != other:
		return say.T("%d and %d answer; the address is translated on the way", first.port, second.port), nil
	case seenLow == seenHigh:
		return say.T("translated alike: %d and %d see source port %d instead of %d", first.port, second.port, seenLow, own), nil
	}
	return say.T("symmetric NAT: source port %d is seen as %d and %d, so most sessions from here will need the relay", own, seenLow,
		seenHigh), nil
}

func (p *prover) rendezvousTCP(ctx context.Context) (say.Text, error) {
	at, err := p.hbbsDoor(0, "tcp")
	if err != nil {
		return say.Text{}, err
	}
	on, err := connect(ctx, at, p.patience, 0)
	if err != nil {
		return say.Text{}, err
	}
	defer on.Close()
	port, err := sourcePort(on)
	if err != nil {
		return say.Text{}, err
	}
	return say.T("%s answers, it sees source port %d", at.name(), port), nil
}

// rendezvousUDP sends the heartbeat of an unknown client, again and again, until hbbs wants its key.
func (p *prover) rendezvousUDP(ctx context.Context) (say.Text, error) {
	at, err := p.hbbsDoor(0, "udp")
	if err != nil {
		return say.Text{}, err
	}
	socket, err := openDatagrams(ctx, netip.AddrPortFrom(at.address, uint16(at.port)))
	if err != nil {
		return say.Text{}, udpFailure(err, at)
	}
	defer socket.Close()
	heartbeat := wire.Encode(wire.Message{Kind: wire.RegisterPeer, Fields: wire.Fields{"id": unusedID()}})
	end, _ := ctx.Deadline()
	var strange error
	buffer := make([]byte, readBytes)
	sent, seen, resend := 0, 0, firstResend
	for time.Until(end) > 0 {
		if _, err := socket.Write(heartbeat); err != nil {
			return say.Text{}, udpFailure(err, at)
		}
		sent++
		turn := minTime(time.Now().Add(resend), end)
		resend *= 2
		for {
			size, isOver, err := socket.read(buffer, turn)
			if err != nil {
				return say.Text{}, udpFailure(err, at)
			}
			if isOver {
				break
			}
			if strange = judgeDatagram(at, buffer[:size]); strange == nil {
				if sent > 1 {
					return say.T("%s asks an unknown client for its key, %d datagrams were needed", at.name(), sent), nil
				}
				return say.T("%s asks an unknown client for its key", at.name()), nil
			}
			if seen++; seen > maxUnrelated {
				return say.Text{}, strange
			}
		}
	}
	if strange != nil {
		return say.Text{}, strange
	}
	return say.Text{}, fail(UDPSilent, at, "none of %d datagrams to %s was answered within %s", sent, at.name(), seconds(p.patience))
}

func minTime(left, right time.Time) time.Time {
	if left.Before(right) {
		return left
	}
	return right
}

func udpFailure(err error, at *door) error {
	if isRefused(err) {
		return fail(UDPRefused, at, "%s at %s refused the datagram", at.name(), at.address.String())
	}
	var reason *os.SyscallError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	return fail(Unreachable, at, "%s at %s cannot be reached (%s)", at.name(), at.address.String(), err.Error())
}

func judgeDatagram(at *door, datagram []byte) error {
	message, err := wire.Decode(datagram)
	switch {
	case err != nil:
		return strangeBytes(at, datagram[:min(len(datagram), headBytes)], say.Of(err))
	case message.Kind == "":
		return fail(Unexpected, at, "%s answers a heartbeat with an empty message", at.name())
	case message.Kind != wire.RegisterPeerResponse:
		return fail(Unexpected, at, "%s answers a heartbeat with %s", at.name(), message.Kind)
	case !message.Flag("request_pk"):
		return fail(Unexpected, at, "%s claims to know a client that does not exist", at.name())
	}
	return nil
}

// isKeyAccepted asks hbbs for an id that nobody has: a refused key is noticed before the unknown id (rustdesk-server
// src/rendezvous_server.rs, handle_punch_hole_request).
func (p *prover) isKeyAccepted(ctx context.Context, key string) (bool, error) {
	at, err := p.hbbsDoor(0, "tcp")
	if err != nil {
		return false, err
	}
	on, err := connect(ctx, at, p.patience, 0)
	if err != nil {
		return false, err
	}
	defer on.Close()
	request := wire.Fields{"id": unusedID(), "licence_key": key}
	answer, err := on.ask(wire.Message{Kind: wire.PunchHoleRequest, Fields: request}, wire.PunchHoleResponse)
	if err != nil {
		return false, err
	}
	number, other := answer.Number("failure"), answer.Text("other_failure")
	name, isKnown := wire.FailureNames[number]
	what := say.T("%s", name)
	switch {
	case len(answer.Bytes("socket_addr")) > 0:
		what = say.T("an address")
	case other != "":
		what = say.T("%s", strconv.Quote(strings.ToValidUTF8(other[:min(len(other), 80)], "")))
	case number == wire.LicenseMismatch:
		return false, nil
	case number == wire.IDNotExist:
		return true, nil
	case !isKnown:
		return false, fail(Unexpected, at, "%s answers a request for an unknown id with %d", at.name(), number)
	}
	return false, fail(Unexpected, at, "%s answers a request for an unknown id with %s", at.name(), what)
}

func (p *prover) keyAccepted(ctx context.Context) (say.Text, error) {
	isAccepted, err := p.isKeyAccepted(ctx, p.target.Key)
	if err != nil {
		return say.Text{}, err
	}
	if !isAccepted {
		at, _ := p.hbbsDoor(0, "tcp")
		return say.Text{}, fail(KeyDiffers, at, "hbbs refuses this key")
	}
	return say.T("hbbs accepts this key"), nil
}

func (p *prover) keyEnforced(ctx context.Context) (say.Text, error) {
	for _, wrong := range p.wrongKeys() {
		isAccepted, err := p.isKeyAccepted(ctx, wrong.key)
		if err != nil {
			return say.Text{}, err
		}
		if isAccepted {
			at, _ := p.hbbsDoor(0, "tcp")
			return say.Text{}, fail(KeyNotChecked, at, "hbbs accepts %s", wrong.name)
		}
	}
	return say.T("hbbs refuses a wrong key and no key"), nil
}
