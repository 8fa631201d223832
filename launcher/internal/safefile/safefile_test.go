package safefile

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWriteReplacesAndLeavesNothingBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"one", "", "two"} {
		if err := Write(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || string(got) != content || got == nil {
			t.Error(got, err)
		}
	}
	if found, _ := filepath.Glob(path + "*"); len(found) != 1 {
		t.Error(found)
	}
}

func TestMissingFileIsNoError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if got, err := Read(path); got != nil || err != nil {
		t.Error(got, err)
	}
	if err := Remove(path); err != nil {
		t.Error(err)
	}
}

func TestLeftoversOfKilledProgramsGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, age := range map[string]time.Duration{path + ".1.tmp": 2 * time.Hour, path + ".2.tmp": 0, path: 2 * time.Hour} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Now(), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	RemoveLeftovers(path)
	if found, _ := filepath.Glob(path + "*"); len(found) != 2 {
		t.Error(found)
	}
}

func TestFileThatIsHeldWhenItIsMadeIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	tries := 0
	err := move(temporary, path, func(from, to string) error {
		if tries++; tries < 3 {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrPermission}
		}
		return os.Rename(from, to)
	})
	if err != nil || tries != 3 {
		t.Error(tries, err)
	}
	if got, err := Read(path); err != nil || string(got) != "new" {
		t.Error(got, err)
	}
}

func TestNothingIsLeftWhenTheFileCannotBeReplaced(t *testing.T) {
	folder := t.TempDir()
	// A folder with something in it cannot be replaced by a file on any system.
	path := filepath.Join(folder, "file")
	if err := os.MkdirAll(filepath.Join(path, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("new")); err == nil {
		t.Error("written")
	}
	if found, _ := os.ReadDir(folder); len(found) != 1 {
		t.Error(found)
	}
}
