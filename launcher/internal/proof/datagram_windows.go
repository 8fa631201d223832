package proof

import (
	"context"
	"net/netip"
	"syscall"
	"time"
	"unsafe"
)

// The standard library's UDP asks for a feature of sockets that Wine does not have, and fails there. These few calls are the
// same on Windows and in the tests.
var selectSockets = syscall.NewLazyDLL("ws2_32.dll").NewProc("select")

// datagrams is a UDP socket that is connected to one door.
type datagrams struct{ socket syscall.Handle }

func openDatagrams(_ context.Context, to netip.AddrPort) (*datagrams, error) {
	family, address := syscall.AF_INET6, syscall.Sockaddr(nil)
	if to.Addr().Is4() {
		family, address = syscall.AF_INET, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		address = &syscall.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	socket, err := syscall.Socket(family, syscall.SOCK_DGRAM, syscall.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	if err := syscall.Connect(socket, address); err != nil {
		_ = syscall.Closesocket(socket)
		return nil, err
	}
	return &datagrams{socket}, nil
}

// Write sends a datagram.
func (d *datagrams) Write(content []byte) (int, error) {
	var sent uint32
	buffer := syscall.WSABuf{Len: uint32(len(content)), Buf: &content[0]}
	err := syscall.WSASend(d.socket, &buffer, 1, &sent, 0, nil, nil)
	return int(sent), err
}

// Close closes the socket.
func (d *datagrams) Close() error { return syscall.Closesocket(d.socket) }

// sockets is Windows' fd_set with room for one.
type sockets struct {
	count  uint32
	member syscall.Handle
}

// interval is Windows' timeval.
type interval struct{ seconds, microseconds int32 }

// read returns the size of the next datagram, which may be none; isOver tells that none came until then.
func (d *datagrams) read(buffer []byte, until time.Time) (size int, isOver bool, err error) {
	left := time.Until(until)
	if left <= 0 {
		return 0, true, nil
	}
	patience := interval{int32(left / time.Second), int32(left % time.Second / time.Microsecond)}
	waiting := sockets{1, d.socket}
	ready, _, problem := selectSockets.Call(0, uintptr(unsafe.Pointer(&waiting)), 0, 0, uintptr(unsafe.Pointer(&patience)))
	switch int32(ready) {
	case 0:
		return 0, true, nil
	case -1:
		return 0, false, problem
	}
	var received, flags uint32
	into := syscall.WSABuf{Len: uint32(len(buffer)), Buf: &buffer[0]}
	if err := syscall.WSARecv(d.socket, &into, 1, &received, &flags, nil, nil); err != nil {
		return 0, false, err
	}
	return int(received), false, nil
}
