package proof

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/wire"
)

const rightKey = "5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM="

const patience = 600 * time.Millisecond

// server is a hbbs and a hbbr on loopback, with the faults that a test wants.
type server struct {
	isOpen      bool // takes every key
	relayIsOpen bool
	noUDP       bool
	noRelay     bool
	noise       string // is all that the TCP ports say
	corrupts    bool
	floods      bool   // sends the first of two clients bytes without end
	strays      int    // how many empty datagrams are all that a heartbeat gets
	refusal     string // is why it refuses a client
	beats       atomic.Int32
	port        int
	guard       sync.Mutex
	waiting     map[string]net.Conn
}

func (s *server) start(t *testing.T) Target {
	t.Helper()
	s.waiting = map[string]net.Conn{}
	for s.port = 30000 + int(time.Now().UnixNano()%20000); !s.listen(t); s.port += 7 {
	}
	return Target{Host: "127.0.0.1", Port: s.port, RelayHost: "127.0.0.1", RelayPort: s.port + 1, Key: rightKey}
}

func (s *server) listen(t *testing.T) bool {
	t.Helper()
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	for offset, handle := range map[int]func(net.Conn){-1: s.rendezvous, 0: s.rendezvous, 1: s.relay} {
		if offset == 1 && s.noRelay {
			continue
		}
		address.Port = s.port + offset
		listener, err := net.ListenTCP("tcp4", address)
		if err != nil {
			return false
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go handle(connection)
			}
		}()
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: address.IP, Port: s.port})
	if err != nil {
		return false
	}
	t.Cleanup(func() { socket.Close() })
	go s.heartbeats(socket)
	return true
}

func (s *server) heartbeats(socket *net.UDPConn) {
	buffer := make([]byte, 1024)
	for {
		size, from, err := socket.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		s.beats.Add(1)
		for range s.strays {
			_, _ = socket.WriteToUDP(nil, from)
		}
		message, err := wire.Decode(buffer[:size])
		if s.strays > 0 || s.noUDP || err != nil || message.Kind != wire.RegisterPeer {
			continue
		}
		answer := wire.Message{Kind: wire.RegisterPeerResponse, Fields: wire.Fields{"request_pk": true}}
		_, _ = socket.WriteToUDP(wire.Encode(answer), from)
	}
}

// receive takes one frame and not a byte more: what follows is for the other side of a relay.
func receive(from net.Conn) (wire.Message, bool) {
	frames, buffer := wire.Frames{}, make([]byte, 1)
	for {
		if _, err := from.Read(buffer); err != nil {
			return wire.Message{}, false
		}
		frames.Feed(buffer)
		if payload, isWhole, _ := frames.Next(); isWhole {
			message, err := wire.Decode(payload)
			return message, err == nil
		}
	}
}

func answer(to net.Conn, kind string, fields wire.Fields) {
	frame, _ := wire.Frame(wire.Encode(wire.Message{Kind: kind, Fields: fields}))
	_, _ = to.Write(frame)
}

func (s *server) rendezvous(connection net.Conn) {
	defer connection.Close()
	message, isOne := receive(connection)
	switch {
	case !isOne:
	case s.noise != "":
		_, _ = io.WriteString(connection, s.noise)
	case message.Kind == wire.TestNatRequest:
		port := connection.RemoteAddr().(*net.TCPAddr).Port
		answer(connection, wire.TestNatResponse, wire.Fields{"port": int32(port)})
	case message.Kind == wire.PunchHoleRequest:
		failure := int32(wire.IDNotExist)
		if !s.isOpen && message.Text("licence_key") != rightKey {
			failure = wire.LicenseMismatch
		}
		answer(connection, wire.PunchHoleResponse, wire.Fields{"failure": failure, "other_failure": s.refusal})
	}
}

func (s *server) relay(connection net.Conn) {
	message, isOne := receive(connection)
	if !isOne || !s.relayIsOpen && message.Text("licence_key") != rightKey {
		connection.Close()
		return
	}
	s.guard.Lock()
	other := s.waiting[message.Text("uuid")]
	s.waiting[message.Text("uuid")] = connection
	s.guard.Unlock()
	for noise := make([]byte, 4096); other == nil && s.floods; {
		if _, err := connection.Write(noise); err != nil {
			return
		}
	}
	if other == nil {
		return
	}
	go s.pass(connection, other)
	s.pass(other, connection)
}

func (s *server) pass(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for passed := 0; ; {
		size, err := from.Read(buffer)
		if err != nil {
			return
		}
		if s.corrupts && passed+size > 4000 {
			buffer[size-1] ^= 1
		}
		passed += size
		_, _ = to.Write(buffer[:size])
	}
}

// causes returns what became of the proofs that were not passed.
func causes(report Report) map[string]Cause {
	found := map[string]Cause{}
	for _, result := range report.Proofs {
		if result.State != "passed" {
			found[result.Name] = result.Cause
		}
	}
	return found
}

func TestProofsTellWhatIsWrong(t *testing.T) {
	const page, record = "HTTP/1.1 400 Bad Request\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28"
	all := func(cause Cause, names string) map[string]Cause {
		out := map[string]Cause{}
		for _, name := range strings.Fields(names) {
			out[name] = cause
		}
		return out
	}
	tests := []struct {
		name   string
		server *server
		key    string
		wanted map[string]Cause
	}{
		{"right", &server{}, rightKey, nil},
		{"open", &server{isOpen: true, relayIsOpen: true}, rightKey,
			map[string]Cause{"key_enforced": KeyNotChecked, "relay_enforced": RelayOpen}},
		{"wrong key", &server{}, "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA=",
			map[string]Cause{"key_accepted": KeyDiffers, "relay_accepted": RelayKeyRefused, "relay_bytes": RelayKeyRefused}},
		{"no UDP", &server{noUDP: true}, rightKey, all(UDPSilent, "rendezvous_udp")},
		{"no relay", &server{noRelay: true}, rightKey, all(Refused, "relay_accepted relay_enforced relay_bytes")},
		{"a web page", &server{noise: page}, rightKey, all(Intercepted, "nat_test rendezvous_tcp key_accepted key_enforced")},
		{"TLS", &server{noise: record}, rightKey, all(Intercepted, "nat_test rendezvous_tcp key_accepted key_enforced")},
		{"something else", &server{noise: "SSH-2.0-x\r\n"}, rightKey, all(Foreign, "nat_test rendezvous_tcp key_accepted key_enforced")},
		{"a relay that changes bytes", &server{corrupts: true}, rightKey, all(RelayCorrupt, "relay_bytes")},
		{"no key", &server{}, "", all(NoKey, "key_accepted key_enforced relay_accepted relay_enforced relay_bytes")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target := test.server.start(t)
			target.Key = test.key
			report := prove(target, patience, true)
			got := causes(report)
			if len(got) != len(test.wanted) {
				t.Errorf("%v instead of %v", got, test.wanted)
			}
			for name, cause := range test.wanted {
				if got[name] != cause {
					t.Errorf("%s: %q instead of %q", name, got[name], cause)
				}
			}
			if report.Passed() != (len(test.wanted) == 0 || test.key == "") {
				t.Error(report.Message().In(say.English))
			}
		})
	}
}

func TestLoopbackIsRefused(t *testing.T) {
	report := Prove(Target{Host: "127.0.0.1", Port: 21116, RelayHost: "127.0.0.1", RelayPort: 21117, Key: rightKey}, patience)
	for name, cause := range causes(report) {
		if cause != NameLoopback {
			t.Errorf("%s: %s", name, cause)
		}
	}
	if len(causes(report)) != len(Names) || report.Address != "" {
		t.Error(report.Address, causes(report))
	}
}

func TestNameThatDoesNotResolveFailsEverything(t *testing.T) {
	report := Prove(Target{Host: "unknown.invalid", Port: 21116, RelayHost: "unknown.invalid", RelayPort: 21117, Key: rightKey}, 5*time.Second)
	if len(causes(report)) != len(Names) || report.Passed() {
		t.Error(causes(report))
	}
}

// alone returns a prover of one server, and the time that it has.
func alone(t *testing.T, s *server) (*prover, context.Context) {
	t.Helper()
	target := s.start(t)
	here := reached{address: netip.MustParseAddr(target.Host)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return &prover{target: target, hbbs: here, hbbr: here, patience: patience}, ctx
}

func detail(t *testing.T, err error, in say.Language) string {
	t.Helper()
	var found *failure
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	return found.detail.In(in)
}

func TestEmptyDatagramsAreLookedAtWithoutHaste(t *testing.T) {
	// With the pace of resends there is time for two or three; more than a few datagrams end the proof.
	for strays, most := range map[int]int32{1: 3, 2 * maxUnrelated: 1} {
		s := &server{strays: strays}
		p, ctx := alone(t, s)
		_, err := p.rendezvousUDP(ctx)
		if got := detail(t, err, say.German); !strings.HasSuffix(got, "antwortet auf ein Lebenszeichen mit einer leeren Nachricht") {
			t.Error(got)
		}
		if got := s.beats.Load(); got > most {
			t.Errorf("%d heartbeats with %d datagrams for each", got, strays)
		}
	}
}

func TestWordsOfAServerReachNoTerminal(t *testing.T) {
	p, ctx := alone(t, &server{refusal: "\x1b[2J\nkey_accepted passed\u202e" + strings.Repeat("x", 1000)})
	_, err := p.isKeyAccepted(ctx, rightKey)
	got := detail(t, err, say.English)
	if !strings.Contains(got, `with "\x1b[2J\nkey_accepted passed\u202exxx`) || len(got) > 200 {
		t.Errorf("%q", got)
	}
}

func TestRelayThatSendsWithoutEndIsReadToABound(t *testing.T) {
	p, ctx := alone(t, &server{floods: true})
	met, err := p.meet(ctx, rightKey, relayBytes, func(pair) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range met {
		if got := len(one.received); got > relayBytes+2*readBytes {
			t.Errorf("%d bytes were kept", got)
		}
	}
}

func TestReasonsAreTranslated(t *testing.T) {
	_, err := wire.Decode([]byte{0x32})
	for language, wanted := range map[say.Language]string{say.English: "(a number is cut off)", say.German: "(eine Zahl ist abgeschnitten)"} {
		if got := detail(t, strangeBytes(&door{}, nil, say.Of(err)), language); !strings.Contains(got, wanted) {
			t.Error(got)
		}
	}
}
