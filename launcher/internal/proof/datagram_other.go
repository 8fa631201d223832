//go:build !windows

package proof

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"
)

// datagrams is a UDP socket that is connected to one door.
type datagrams struct{ net.Conn }

func openDatagrams(ctx context.Context, to netip.AddrPort) (*datagrams, error) {
	found, err := (&net.Dialer{}).DialContext(ctx, "udp", to.String())
	return &datagrams{found}, err
}

// read returns the size of the next datagram, which may be none; isOver tells that none came until then.
func (d *datagrams) read(buffer []byte, until time.Time) (size int, isOver bool, err error) {
	_ = d.SetReadDeadline(until)
	size, err = d.Read(buffer)
	if os.IsTimeout(err) {
		return 0, true, nil
	}
	return size, false, err
}
