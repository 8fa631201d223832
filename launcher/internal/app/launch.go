package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"

	"rustdesk-launcher/internal/profile"
	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/system"
)

// Launch runs the launcher and returns its exit code.
func (a *App) Launch(arguments []string) int {
	command, err := ParseLauncher(arguments)
	if code := a.begin(command, err); code != Done {
		return code
	}
	defer a.end()
	switch command.Act {
	case Help:
		a.print(a.help())
	case Version:
		a.version(a.site.LauncherName)
	case PrintConfig:
		a.print(a.configString())
	case Check:
		return a.check()
	case Apply:
		return a.configure()
	default:
		return a.start()
	}
	return Done
}

// start configures RustDesk as far as that makes sense, and starts it.
func (a *App) start() int {
	// Before anything is changed: without the program, nothing of it would be of use.
	if err := a.examineProgram(); err != nil {
		a.warn(say.Of(err))
		return Wrong
	}
	code := a.configure()
	if code == Failed || code == Busy && a.desk.Service() != system.Running {
		return code
	}
	code, err := a.desk.Start(a.programPath(), a.command.Rest)
	if err != nil {
		a.warn(say.T("%s cannot be started (%s)", a.programPath(), err))
		return Wrong
	}
	return code
}

// examineProgram looks whether rustdesk.exe is there and not this program, and says when it is another one than the bundle was made
// with.
func (a *App) examineProgram() error {
	if isSelf(a.programPath()) {
		return say.Errorf("%s is this program itself under another name: it would start itself again and again. Give it its name %s back, "+
			"and put RustDesk's own rustdesk.exe beside it. The ZIP has both: %s", a.programPath(), a.site.LauncherName, a.site.DownloadURL)
	}
	found, err := digestOf(a.programPath())
	if errors.Is(err, fs.ErrNotExist) {
		return say.Errorf("%s is missing. Unpack the whole ZIP into a folder, and start %s there. The ZIP: %s", a.programPath(),
			a.site.LauncherName, a.site.DownloadURL)
	}
	if err != nil {
		return say.Errorf("%s cannot be read (%s)", a.programPath(), err)
	}
	if a.site.Client.SHA256 != "" && found != a.site.Client.SHA256 {
		a.warn(say.T("%s is not RustDesk %s, with which this was tested (its sha256 is %s). If you have put a newer one there "+
			"yourself, all is well; otherwise download the ZIP again: %s", a.programPath(), a.site.Client.Version, found,
			a.site.DownloadURL))
	}
	return nil
}

func isSelf(path string) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	here, errHere := os.Stat(self)
	there, errThere := os.Stat(path)
	return errHere == nil && errThere == nil && os.SameFile(here, there)
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// configure writes the site's settings where RustDesk reads them, or says why that would be of no use.
func (a *App) configure() int {
	settings, err := a.profile()
	if err != nil {
		return a.fail(err)
	}
	service := a.desk.Service()
	if service == system.Running {
		return a.explainService()
	}
	if !settings.Has(a.site) && !a.waitUntilClosed() {
		return Busy
	}
	changed, err := settings.Apply(a.site)
	if err != nil {
		return a.fail(err)
	}
	if service == system.Stopped {
		a.inform(say.T("RustDesk is installed on this computer, and its service is stopped. When it is started, its own settings count, " +
			"not these"))
	}
	if a.command.Act == Apply {
		if changed {
			a.inform(say.T("RustDesk is set to %s now", a.site.Server()))
		} else {
			a.inform(say.T("RustDesk was set to %s already", a.site.Server()))
		}
	}
	return Done
}

// explainService says that an installed RustDesk reads other settings, unless those are this site's.
func (a *App) explainService() int {
	if data := a.desk.ServiceData(); data != "" && profile.Of(data).Has(a.site) {
		return Done
	}
	program := a.desk.InstalledProgram()
	if program == "" {
		program = system.Program
	}
	a.warn(say.T("RustDesk is installed on this computer as a service. It has settings of its own and does not read those that this "+
		"program writes, so nothing was changed. If it has been set up for %s, all is well.\n\n"+
		"Otherwise copy this text:\n\n%s\n\n"+
		"Then in RustDesk: Settings, Network, Unlock Network Settings, ID/Relay Server, Import server config. "+
		"Or as an administrator:\n\n\"%s\" --config %s\n\nHelp: %s",
		a.site.Company, a.configString(), program, a.configString(), a.contact()))
	return Busy
}

func (a *App) help() string {
	return a.joined([]say.Text{
		say.T("%s [option ...] [--] [argument for rustdesk.exe ...]", a.site.LauncherName),
		say.T("Sets RustDesk to %s, and starts the rustdesk.exe beside it.", a.site.Server()),
		say.T(""),
		say.T("  --apply         only set it, do not start it"),
		say.T("  --check         prove from this computer that the server does what it should; --json for programs"),
		say.T("  --print-config  print the configuration string"),
		say.T("  --version       print for whom this was built"),
		say.T("  --quiet         show nothing; the exit code and the log tell"),
		say.T("  --log FILE      write what was done to a file, too"),
		say.T("  --lang de|en    speak this language"),
	})
}
