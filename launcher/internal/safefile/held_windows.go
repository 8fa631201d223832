package safefile

import (
	"errors"
	"io/fs"
	"syscall"
)

const (
	sharingViolation syscall.Errno = 32
	lockViolation    syscall.Errno = 33
)

// isHeld tells whether another program stands in the way, as far as Windows lets one know.
func isHeld(err error) bool {
	return errors.Is(err, sharingViolation) || errors.Is(err, lockViolation) || errors.Is(err, fs.ErrPermission)
}
