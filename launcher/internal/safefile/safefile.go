// Package safefile writes files so that at any time either the old or the new content is there, and nothing else beside it.
package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rustdesk-launcher/internal/say"
)

// Patience is how long a file is tried again that another program holds open: scanners and backups do, for a moment.
const Patience = 2 * time.Second

const pause = 50 * time.Millisecond

// Read returns the content of a file, nil when there is none.
func Read(path string) ([]byte, error) {
	var content []byte
	err := patiently(path, func() error {
		found, err := os.ReadFile(path)
		if err == nil && found == nil {
			found = []byte{}
		}
		content = found
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, say.Errorf("%s cannot be read (%s)", path, reason(err))
	}
	return content, nil
}

// Write replaces the content of a file, or makes it. Its folder exists.
func Write(path string, content []byte) error {
	if err := writable(path); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	err := fill(temporary, content)
	if err == nil {
		err = move(temporary, path, os.Rename)
	}
	if err != nil {
		// It is ours alone. What could not be made is not there to be removed.
		if problem := os.Remove(temporary); problem != nil && !errors.Is(problem, fs.ErrNotExist) {
			err = errors.Join(err, problem)
		}
		return notWritten(path, err)
	}
	return nil
}

// move waits for the temporary file's place only: there may be nothing at the other one yet.
func move(temporary, path string, rename func(from, to string) error) error {
	return patiently(temporary, func() error { return rename(temporary, path) })
}

// Remove removes a file; one that is not there is no error.
func Remove(path string) error {
	if err := writable(path); err != nil {
		return err
	}
	err := patiently(path, func() error { return os.Remove(path) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return notWritten(path, err)
	}
	return nil
}

// RemoveLeftovers removes what a program that was killed in the middle of Write has left beside a file.
func RemoveLeftovers(path string) {
	found, _ := filepath.Glob(path + ".*.tmp")
	for _, leftover := range found {
		if info, err := os.Stat(leftover); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(leftover)
		}
	}
}

func fill(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// writable refuses a file that is read-only: somebody wants it to stay as it is.
func writable(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o200 == 0 {
		return say.Errorf("%s is read-only, so somebody wants it to stay as it is. Take the attribute off, then start again", path)
	}
	return nil
}

func notWritten(path string, err error) error {
	if isHeld(err) {
		return say.Errorf("%s was not changed: another program holds it open, or you may not write it (%s). Close RustDesk and "+
			"whatever else has the file open, then start again", path, reason(err))
	}
	return say.Errorf("%s was not changed (%s)", path, reason(err))
}

// reason returns the system's own words, without the paths that stand in the sentence already.
func reason(err error) string {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.As(err, &link):
		return link.Err.Error()
	}
	return err.Error()
}

func patiently(path string, act func() error) error {
	for end := time.Now().Add(Patience); ; time.Sleep(pause) {
		err := act()
		if err == nil || !isHeld(err) || time.Now().After(end) {
			return err
		}
		// A folder that nobody may write to stays so.
		if _, missing := os.Stat(path); missing != nil {
			return err
		}
	}
}
