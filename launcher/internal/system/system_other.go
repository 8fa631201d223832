//go:build !windows

package system

import (
	"io"
	"os"

	"rustdesk-launcher/internal/say"
)

func userLanguage() say.Language { return say.English }

// ApplicationData returns the folder that stands for %APPDATA%.
func (Desk) ApplicationData() (string, error) { return os.UserConfigDir() }

// ServiceData returns the folder in which the service has its application data; there is none.
func (Desk) ServiceData() string { return "" }

// InstalledProgram returns where an installed RustDesk is; there is none.
func (Desk) InstalledProgram() string { return "" }

// IsSystem tells whether this is the account of the system itself.
func (Desk) IsSystem() bool { return false }

// IsRunning tells whether this user's RustDesk runs.
func (Desk) IsRunning() bool { return false }

// Service returns the state of RustDesk's service.
func (Desk) Service() Service { return NotInstalled }

// Output returns where to write for people, nil where nobody would see it.
func (Desk) Output() (out, problems io.Writer) { return os.Stdout, os.Stderr }

// Show shows a text in a window of its own; there is none.
func (Desk) Show(string, string, bool) {}

// Ask shows a text and asks whether to try again.
func (Desk) Ask(string, string) bool { return false }
