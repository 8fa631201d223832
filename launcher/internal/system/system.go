// Package system is what the launchers need of Windows. Everything that is not here runs, and is tested, on any system.
package system

import (
	"errors"
	"os"
	"os/exec"

	"rustdesk-launcher/internal/say"
)

// Program is the name of RustDesk's own program.
const Program = "rustdesk.exe"

// LanguageVariable overrides the language of the user's Windows.
const LanguageVariable = "RUSTDESK_LAUNCHER_LANG"

// Service is the state of RustDesk's service, which an installed RustDesk has.
type Service int

// The states of a service.
const (
	NotInstalled Service = iota
	Stopped
	Running
)

// Desk is the computer of the user. Its zero value is ready for use.
type Desk struct{}

// Language returns the language in which the user wants to be spoken to.
func (Desk) Language() say.Language {
	switch language := say.Language(os.Getenv(LanguageVariable)); language {
	case say.English, say.German:
		return language
	}
	return userLanguage()
}

// Start runs a program to its end and returns its exit code.
func (Desk) Start(path string, arguments []string) (int, error) {
	command := exec.Command(path, arguments...)
	// Handles of a program without a console are none, and cannot be passed on.
	if isUsable(os.Stdin) {
		command.Stdin = os.Stdin
	}
	if isUsable(os.Stdout) {
		command.Stdout = os.Stdout
	}
	if isUsable(os.Stderr) {
		command.Stderr = os.Stderr
	}
	err := command.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}

func isUsable(file *os.File) bool {
	_, err := file.Stat()
	return err == nil
}
