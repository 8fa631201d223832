package app

import (
	"rustdesk-launcher/internal/profile"
	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/system"
)

// Reset runs the reset program and returns its exit code.
func (a *App) Reset(arguments []string) int {
	command, err := ParseReset(arguments)
	if code := a.begin(command, err); code != Done {
		return code
	}
	defer a.end()
	switch command.Act {
	case Help:
		a.print(a.resetHelp())
		return Done
	case Version:
		a.version(a.site.ResetName)
		return Done
	}
	settings, err := a.profile()
	if err != nil {
		return a.fail(err)
	}
	if settings.IsConfigured(a.site) && !a.waitUntilClosed() {
		return Busy
	}
	outcome, err := settings.Reset(a.site)
	if err != nil {
		return a.fail(err)
	}
	a.inform(a.outcome(outcome))
	if a.desk.Service() != system.NotInstalled {
		a.inform(say.T("RustDesk is installed on this computer as a service, and keeps its own settings. They are changed in RustDesk: " +
			"Settings, Network"))
	}
	return Done
}

func (a *App) outcome(outcome profile.Outcome) say.Text {
	switch outcome {
	case profile.Restored:
		return say.T("RustDesk's settings are again what they were before %s was set", a.site.Server())
	case profile.Removed:
		return say.T("RustDesk had no settings before %s was set, and has none again", a.site.Server())
	case profile.Undone:
		return say.T("RustDesk is no longer set to %s. Everything else that was changed since has been kept", a.site.Server())
	case profile.Managed:
		return say.T("RustDesk is no longer set to %s. Your IT department has configured more on this computer, which has been kept",
			a.site.Server())
	}
	return say.T("There is nothing of %s in RustDesk's settings. Nothing was changed", a.site.Company)
}

func (a *App) resetHelp() string {
	return a.joined([]say.Text{
		say.T("%s [option ...]", a.site.ResetName),
		say.T("Gives RustDesk the settings back that it had before %s was set.", a.site.Server()),
		say.T(""),
		say.T("  --version       print for whom this was built"),
		say.T("  --quiet         show nothing; the exit code and the log tell"),
		say.T("  --log FILE      write what was done to a file, too"),
		say.T("  --lang de|en    speak this language"),
	})
}
