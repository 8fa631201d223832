package proof

import (
	"errors"
	"syscall"
)

// Errors of Windows' sockets.
const (
	accessDenied    syscall.Errno = 10013
	addressInUse    syscall.Errno = 10048
	addressNotThere syscall.Errno = 10049
	networkDown     syscall.Errno = 10050
	networkNoWay    syscall.Errno = 10051
	resetByPeer     syscall.Errno = 10054
	refused         syscall.Errno = 10061
	hostNoWay       syscall.Errno = 10065
	familyNotThere  syscall.Errno = 10047
	networkNotFound syscall.Errno = 1231 // ERROR_NETWORK_UNREACHABLE, as ConnectEx says it
	hostNotFound    syscall.Errno = 1232 // ERROR_HOST_UNREACHABLE
	refusedByRemote syscall.Errno = 1225 // ERROR_CONNECTION_REFUSED
	portUnreachable syscall.Errno = 1234 // ERROR_PORT_UNREACHABLE
)

func reuseAddress(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(handle uintptr) {
		_ = syscall.SetsockoptInt(syscall.Handle(handle), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
}

func isAny(err error, numbers ...syscall.Errno) bool {
	for _, number := range numbers {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

func isRefused(err error) bool {
	return isAny(err, refused, resetByPeer, refusedByRemote, portUnreachable)
}

func isUnreachable(err error) bool {
	return isAny(err, accessDenied, addressNotThere, networkDown, networkNoWay, hostNoWay, familyNotThere, networkNotFound, hostNotFound)
}
