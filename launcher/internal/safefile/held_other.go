//go:build !windows

package safefile

import (
	"errors"
	"io/fs"
)

// isHeld stands for what other systems do not know: they let files be replaced that are open.
func isHeld(err error) bool { return errors.Is(err, fs.ErrPermission) }
