// Package app is what the two programs do.
package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rustdesk-launcher/internal/configstring"
	"rustdesk-launcher/internal/profile"
	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/site"
	"rustdesk-launcher/internal/system"
)

// Exit codes, besides those of rustdesk.exe.
const (
	Done   = 0
	Failed = 1 // something is wrong, and was said
	Wrong  = 2 // the command line, or what is missing beside the program
	Busy   = 3 // RustDesk runs, or is installed: nothing was changed
)

// Desk is the user's computer; system.Desk is the real one.
type Desk interface {
	Language() say.Language
	ApplicationData() (string, error)
	ServiceData() string
	InstalledProgram() string
	IsSystem() bool
	IsRunning() bool
	Service() system.Service
	Output() (out, problems io.Writer)
	Show(title, text string, isProblem bool)
	Ask(title, text string) bool
	Start(path string, arguments []string) (int, error)
}

// App is one run of a program.
type App struct {
	site      site.Site
	desk      Desk
	directory string
	title     string
	command   Command
	language  say.Language
	out       io.Writer
	problems  io.Writer
	log       io.WriteCloser
}

// New prepares a run: whose service it is, on which computer, and where rustdesk.exe should be.
func New(owner site.Site, desk Desk, directory string) *App {
	app := &App{site: owner, desk: desk, directory: directory, title: "RustDesk " + owner.Company, language: desk.Language()}
	app.out, app.problems = desk.Output()
	return app
}

// begin takes a command line over; whatever it returns but Done ends the run.
func (a *App) begin(command Command, err error) int {
	a.command = command
	if command.Language != "" {
		a.language = command.Language
	}
	if err != nil {
		a.warn(say.Of(err))
		return Wrong
	}
	if command.Log == "" {
		return Done
	}
	file, err := os.OpenFile(command.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		a.warn(say.T("The log %s cannot be written (%s)", command.Log, err))
		return Wrong
	}
	a.log = file
	return Done
}

func (a *App) end() {
	if a.log != nil {
		_ = a.log.Close()
	}
}

// print writes what was asked for; without a console it is shown.
func (a *App) print(text string) {
	if a.out == nil {
		a.desk.Show(a.title, text, false)
		return
	}
	_, _ = fmt.Fprintln(a.out, text)
}

// inform and warn tell people something: in the log, and on the console, or in a window where there is no console.
func (a *App) inform(text say.Text) { a.tell(text, false) }

func (a *App) warn(text say.Text) { a.tell(text, true) }

func (a *App) tell(text say.Text, isProblem bool) {
	sentence := text.In(a.language)
	if a.log != nil {
		_, _ = fmt.Fprintf(a.log, "%s %s\n", time.Now().UTC().Format(time.RFC3339), folded(sentence))
	}
	switch {
	case a.command.Quiet:
	case a.problems != nil:
		_, _ = fmt.Fprintln(a.problems, sentence)
	default:
		a.desk.Show(a.title, sentence, isProblem)
	}
}

// folded returns a text as one line of a log.
func folded(text string) string { return strings.Join(strings.Fields(text), " ") }

// fail says each of the errors that are joined.
func (a *App) fail(err error) int {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, one := range several.Unwrap() {
			a.warn(say.Of(one))
		}
		return Failed
	}
	a.warn(say.Of(err))
	return Failed
}

func (a *App) profile() (profile.Profile, error) {
	if a.desk.IsSystem() {
		return profile.Profile{}, say.Errorf("This is the account of the system, whose RustDesk nobody uses. Run it as the user who " +
			"is to be helped")
	}
	folder, err := a.desk.ApplicationData()
	if err != nil {
		return profile.Profile{}, err
	}
	return profile.Of(folder), nil
}

// waitUntilClosed asks the user to close RustDesk, and tells whether that was done.
func (a *App) waitUntilClosed() bool {
	text := say.T("RustDesk is running, and would overwrite its settings when it ends. Close it first, also the symbol beside the " +
		"clock.")
	for a.desk.IsRunning() {
		if a.command.Quiet || a.command.Act == Apply || a.problems != nil || !a.desk.Ask(a.title, text.In(a.language)) {
			a.warn(say.T("RustDesk is running, and would overwrite its settings when it ends. Nothing was changed: close RustDesk, " +
				"also the symbol beside the clock, then start this again"))
			return false
		}
	}
	return true
}

func (a *App) version(name string) {
	lines := []say.Text{
		say.T("%s %s", name, a.site.Version),
		say.T("ID server: %s", a.site.Server()),
		say.T("Relay: %s", or(a.site.Relay, say.T("the one that the ID server names"))),
		say.T("API server: %s", or(a.site.API, say.T("none"))),
		say.T("Key: %s", a.site.Key),
		say.T("RustDesk: %s, sha256 %s", a.site.Client.Version, a.site.Client.SHA256),
		say.T("Download: %s", a.site.DownloadURL),
		say.T("Help: %s", a.contact()),
	}
	a.print(a.joined(lines))
}

func or(value string, otherwise say.Text) say.Text {
	if value == "" {
		return otherwise
	}
	return say.T("%s", value)
}

func (a *App) joined(lines []say.Text) string {
	out := []string{}
	for _, line := range lines {
		out = append(out, line.In(a.language))
	}
	return strings.Join(out, "\n")
}

// contact returns who helps.
func (a *App) contact() string {
	parts := []string{}
	for _, part := range []string{a.site.Company, a.site.Email, a.site.Phone} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func (a *App) configString() string { return configstring.Encode(a.site.Config()) }

func (a *App) programPath() string { return filepath.Join(a.directory, system.Program) }
