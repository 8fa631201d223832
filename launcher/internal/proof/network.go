package proof

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/wire"
)

const (
	readBytes    = 64 * 1024
	maxUnrelated = 16
	headBytes    = 16
	// pause is by how much things are kept apart that could start together.
	pause = 50 * time.Millisecond
)

// door is a port that a daemon should answer on.
type door struct {
	host     string
	address  netip.Addr
	port     int
	daemon   string
	protocol string
}

func (d *door) name() string { return fmt.Sprintf("%d/%s", d.port, d.protocol) }

func (d *door) endpoint() string { return net.JoinHostPort(d.address.String(), strconv.Itoa(d.port)) }

// resolution is the usable addresses of a name, or the failure to find one.
type resolution struct {
	detail    say.Text
	took      time.Duration
	addresses []netip.Addr
	failure   error
}

func resolve(name string, patience time.Duration, allowLoopback bool) resolution {
	start := time.Now()
	found, err := lookUp(name, patience)
	took := time.Since(start)
	if err != nil {
		return resolution{took: took, failure: err}
	}
	detail := say.T("%s is an address", name)
	if _, isName := netip.ParseAddr(name); isName != nil {
		texts := []string{}
		for _, address := range found {
			texts = append(texts, address.String())
		}
		detail = say.T("%s resolves to %s", name, strings.Join(texts, ", "))
	}
	usable := []netip.Addr{}
	for _, address := range found {
		if allowLoopback || !staysHere(address) {
			usable = append(usable, address)
		}
	}
	if len(usable) == 0 {
		return resolution{took: took, failure: fail(NameLoopback, nil, "%s, which is this machine itself", detail)}
	}
	return resolution{detail: detail, took: took, addresses: usable}
}

func lookUp(name string, patience time.Duration) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{address.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	var problem *net.DNSError
	switch {
	case err == nil:
		for index := range found {
			found[index] = found[index].Unmap()
		}
		return found, nil
	case ctx.Err() != nil || errors.As(err, &problem) && problem.IsTimeout:
		return nil, fail(NameTimeout, nil, "no name server answered about %s within %s", name, seconds(patience))
	case problem != nil:
		return nil, fail(NameUnknown, nil, "%s does not resolve (%s)", name, problem.Err)
	}
	return nil, fail(NameUnknown, nil, "%s does not resolve (%s)", name, err.Error())
}

func staysHere(address netip.Addr) bool {
	return address.IsLoopback() || address.IsUnspecified() || address.IsMulticast()
}

func seconds(duration time.Duration) string {
	return strconv.FormatFloat(duration.Seconds(), 'g', -1, 64) + " s"
}

// choose returns the first address that accepts a TCP connection, else the first of all. Later addresses start a little later.
func choose(addresses []netip.Addr, port int, patience time.Duration) netip.Addr {
	if len(addresses) == 1 {
		return addresses[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answers := make(chan netip.Addr, len(addresses))
	for index, address := range addresses {
		go func() {
			select {
			case <-time.After(min(time.Duration(index)*pause, patience/2)):
			case <-ctx.Done():
			}
			found, err := connect(ctx, &door{address: address, port: port, protocol: "tcp"}, patience, 0)
			if err != nil {
				answers <- netip.Addr{}
				return
			}
			found.Close()
			answers <- address
		}()
	}
	for range addresses {
		if address := <-answers; address.IsValid() {
			return address
		}
	}
	return addresses[0]
}

// connection is a TCP connection to a door; its deadline is the proof's.
type connection struct {
	net.Conn
	door     *door
	patience time.Duration
}

func connect(ctx context.Context, to *door, patience time.Duration, localPort int) (*connection, error) {
	// Lets a second connection leave from the same port, for another destination.
	dialer := net.Dialer{Control: reuseAddress}
	if localPort != 0 {
		dialer.LocalAddr = &net.TCPAddr{Port: localPort}
	}
	found, err := dialer.DialContext(ctx, "tcp", to.endpoint())
	if err != nil && localPort != 0 && errors.Is(err, addressInUse) {
		return connect(ctx, to, patience, 0)
	}
	if err != nil {
		return nil, connectFailure(err, to, patience)
	}
	if deadline, has := ctx.Deadline(); has {
		_ = found.SetDeadline(deadline)
	}
	return &connection{found, to, patience}, nil
}

func connectFailure(err error, to *door, patience time.Duration) error {
	var number syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
	case isRefused(err):
		return fail(Refused, to, "%s at %s refused the connection", to.name(), to.address.String())
	case isUnreachable(err) && errors.As(err, &number):
		return fail(Unreachable, to, "%s at %s cannot be reached (%s)", to.name(), to.address.String(), number.Error())
	}
	return fail(Timeout, to, "%s at %s did not answer the connection within %s", to.name(), to.address.String(), seconds(patience))
}

func (c *connection) localPort() int { return c.LocalAddr().(*net.TCPAddr).Port }

// ask sends a request and returns the first message of the expected kind.
func (c *connection) ask(request wire.Message, kind string) (wire.Message, error) {
	frame, err := wire.Frame(wire.Encode(request))
	if err != nil {
		return wire.Message{}, err
	}
	_, _ = c.Write(frame) // one that is gone shows when reading
	frames, head, unrelated := wire.Frames{}, []byte{}, []say.Text{}
	buffer := make([]byte, readBytes)
	for {
		size, err := c.Read(buffer)
		if size == 0 {
			return wire.Message{}, c.noAnswer(head, unrelated, !os.IsTimeout(err))
		}
		head = append(head, buffer[:min(size, headBytes)]...)[:min(len(head)+size, headBytes)]
		frames.Feed(buffer[:size])
		for {
			payload, isWhole, err := frames.Next()
			if err != nil {
				return wire.Message{}, strangeBytes(c.door, head, say.Of(err))
			}
			if !isWhole {
				break
			}
			message, err := wire.Decode(payload)
			if err != nil {
				return wire.Message{}, strangeBytes(c.door, head, say.Of(err))
			}
			if message.Kind == kind {
				return message, nil
			}
			named := say.T("%s", message.Kind)
			if message.Kind == "" {
				named = say.T("an empty message")
			}
			unrelated = append(unrelated, named)
		}
		if isIntercepted(head) || len(unrelated) > maxUnrelated {
			return wire.Message{}, c.noAnswer(head, unrelated, false)
		}
	}
}

func (c *connection) noAnswer(head []byte, unrelated []say.Text, isClosed bool) error {
	switch {
	case len(unrelated) > 0:
		return fail(Unexpected, c.door, "%s sent %s and no answer", c.door.name(), unrelated[0])
	case len(head) > 0:
		return strangeBytes(c.door, head, say.T("not a message"))
	case isClosed:
		return fail(Closed, c.door, "%s accepts connections and closes them without an answer", c.door.name())
	}
	return fail(NoAnswer, c.door, "%s accepts connections and gave no answer within %s", c.door.name(), seconds(c.patience))
}

// isIntercepted tells whether bytes begin like a TLS record (RFC 8446 section 5.1) or a web page: no frame begins so.
func isIntercepted(head []byte) bool {
	if isTLS(head) {
		return true
	}
	text := strings.ToUpper(string(head))
	return strings.HasPrefix(text, "HTTP/") || strings.HasPrefix(text, "<HTML") || strings.HasPrefix(text, "<!DOCTYPE")
}

func isTLS(head []byte) bool {
	return len(head) >= 3 && 0x14 <= head[0] && head[0] <= 0x17 && head[1] == 3 && head[2] <= 4
}

func strangeBytes(at *door, head []byte, why say.Text) error {
	switch {
	case isTLS(head):
		return fail(Intercepted, at, "%s answers with TLS, not with RustDesk's protocol", at.name())
	case isIntercepted(head):
		return fail(Intercepted, at, "%s answers with a web page, not with RustDesk's protocol", at.name())
	}
	return fail(Foreign, at, "%s answers with bytes that are not RustDesk's (%s): % x", at.name(), why, head)
}
