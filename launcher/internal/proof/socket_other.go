//go:build !windows

package proof

import (
	"errors"
	"syscall"
)

const addressInUse = syscall.EADDRINUSE

func reuseAddress(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(descriptor uintptr) {
		_ = syscall.SetsockoptInt(int(descriptor), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
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

func isRefused(err error) bool { return isAny(err, syscall.ECONNREFUSED, syscall.ECONNRESET) }

func isUnreachable(err error) bool {
	return isAny(err, syscall.EACCES, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EHOSTUNREACH, syscall.ENETDOWN,
		syscall.ENETUNREACH, syscall.EPERM)
}
