package app

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rustdesk-launcher/internal/profile"
	"rustdesk-launcher/internal/proof"
	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/site"
	"rustdesk-launcher/internal/system"
)

// desk is a computer of which a test knows everything.
type desk struct {
	language say.Language
	data     string
	service  system.Service
	ofSystem bool
	running  int // how often it still says so
	answer   bool
	console  bool
	out      bytes.Buffer
	problems bytes.Buffer
	shown    []string
	asked    int
	started  [][]string
	code     int
	fails    bool
}

func (d *desk) Language() say.Language           { return d.language }
func (d *desk) ApplicationData() (string, error) { return d.data, nil }
func (d *desk) ServiceData() string              { return filepath.Join(d.data, "service") }
func (d *desk) InstalledProgram() string         { return `C:\Program Files\RustDesk\rustdesk.exe` }
func (d *desk) IsSystem() bool                   { return d.ofSystem }
func (d *desk) Service() system.Service          { return d.service }
func (d *desk) IsRunning() bool                  { d.running--; return d.running >= 0 }

func (d *desk) Output() (out, problems io.Writer) {
	if d.console {
		return &d.out, &d.problems
	}
	return nil, nil
}

func (d *desk) Show(_, text string, _ bool) { d.shown = append(d.shown, text) }
func (d *desk) Ask(_, _ string) bool        { d.asked++; return d.answer }

func (d *desk) Start(path string, arguments []string) (int, error) {
	if d.fails {
		return 0, errors.New("cannot")
	}
	d.started = append(d.started, append([]string{filepath.Base(path)}, arguments...))
	return d.code, nil
}

// computer is a fresh one, with the program that the site expects.
func computer(t *testing.T) (*desk, site.Site, string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, system.Program), []byte("program"), 0o700); err != nil {
		t.Fatal(err)
	}
	found := site.Built()
	found.Client.SHA256, _ = digestOf(filepath.Join(folder, system.Program))
	return &desk{language: say.English, data: t.TempDir(), console: true}, found, folder
}

func (d *desk) profile() profile.Profile { return profile.Of(d.data) }

func expect(t *testing.T, got, wanted int, d *desk, texts ...string) {
	t.Helper()
	said := d.out.String() + d.problems.String() + strings.Join(d.shown, "\n")
	if got != wanted {
		t.Errorf("exit code %d instead of %d: %s", got, wanted, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("%q is not said: %s", text, said)
		}
	}
	if len(texts) == 0 && said != "" {
		t.Errorf("said: %s", said)
	}
}

func TestStartConfiguresThenStartsWithTheArguments(t *testing.T) {
	d, s, folder := computer(t)
	d.code = 42
	expect(t, New(s, d, folder).Launch([]string{"--lang", "de", "--connect", "1 2", "--quiet", ""}), 42, d)
	if wanted := [][]string{{system.Program, "--connect", "1 2", "--quiet", ""}}; !reflect.DeepEqual(d.started, wanted) {
		t.Error(d.started)
	}
	if !d.profile().Has(s) {
		t.Error("not configured")
	}
}

func TestProgramThatIsMissingIsSaidAndNothingIsChanged(t *testing.T) {
	d, s, _ := computer(t)
	expect(t, New(s, d, t.TempDir()).Launch(nil), Wrong, d, "is missing. Unpack the whole ZIP")
	if d.profile().IsConfigured(s) {
		t.Error("configured")
	}
}

func TestOtherProgramIsStartedWithAWarning(t *testing.T) {
	d, s, folder := computer(t)
	s.Client.SHA256 = strings.Repeat("0", 64)
	expect(t, New(s, d, folder).Launch(nil), Done, d, "is not RustDesk 1.4.9")
	if len(d.started) != 1 {
		t.Error(d.started)
	}
}

func TestLauncherThatWasRenamedDoesNotStartItself(t *testing.T) {
	d, s, folder := computer(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, system.Program)
	if err := errors.Join(os.Remove(program), os.Symlink(self, program)); err != nil {
		t.Fatal(err)
	}
	expect(t, New(s, d, folder).Launch(nil), Wrong, d, "is this program itself under another name", s.LauncherName)
	if len(d.started) > 0 || d.profile().IsConfigured(s) {
		t.Error("started or configured")
	}
}

func TestProgramThatDoesNotStartIsSaid(t *testing.T) {
	d, s, folder := computer(t)
	d.fails = true
	expect(t, New(s, d, folder).Launch(nil), Wrong, d, "cannot be started (cannot)")
}

func TestRunningRustDeskIsNotConfiguredBehindItsBack(t *testing.T) {
	for _, apply := range [][]string{nil, {"--apply"}} {
		d, s, folder := computer(t)
		d.running = 99
		expect(t, New(s, d, folder).Launch(apply), Busy, d, "RustDesk is running, and would overwrite")
		if d.profile().IsConfigured(s) || len(d.started) > 0 {
			t.Error("configured or started")
		}
	}
}

func TestUserIsAskedUntilRustDeskIsClosed(t *testing.T) {
	d, s, folder := computer(t)
	d.running, d.answer, d.console = 2, true, false
	expect(t, New(s, d, folder).Launch(nil), Done, d)
	if d.asked != 2 || len(d.started) != 1 || !d.profile().Has(s) {
		t.Error(d.asked, d.started)
	}
	d, s, folder = computer(t)
	d.running, d.answer, d.console = 99, false, false
	expect(t, New(s, d, folder).Launch(nil), Busy, d, "Nothing was changed")
	if d.asked != 1 || len(d.started) > 0 {
		t.Error(d.asked, d.started)
	}
}

func TestRunningRustDeskThatIsConfiguredIsJustStartedAgain(t *testing.T) {
	d, s, folder := computer(t)
	expect(t, New(s, d, folder).Launch([]string{"--apply", "--quiet"}), Done, d)
	d.running = 99
	expect(t, New(s, d, folder).Launch(nil), Done, d)
	if len(d.started) != 1 {
		t.Error(d.started)
	}
}

func TestInstalledServiceIsExplainedAndStartedWithoutChange(t *testing.T) {
	d, s, folder := computer(t)
	d.service = system.Running
	expect(t, New(s, d, folder).Launch(nil), Done, d, "installed on this computer as a service", New(s, d, folder).configString(),
		`"C:\Program Files\RustDesk\rustdesk.exe" --config`)
	if d.profile().IsConfigured(s) || len(d.started) != 1 {
		t.Error(d.started)
	}
	d, s, folder = computer(t)
	d.service = system.Running
	expect(t, New(s, d, folder).Launch([]string{"--apply"}), Busy, d, "installed on this computer as a service")
}

func TestInstalledServiceThatIsConfiguredIsFine(t *testing.T) {
	d, s, folder := computer(t)
	d.service = system.Running
	if _, err := profile.Of(d.ServiceData()).Apply(s); err != nil {
		t.Fatal(err)
	}
	expect(t, New(s, d, folder).Launch(nil), Done, d)
}

func TestStoppedServiceIsMentioned(t *testing.T) {
	d, s, folder := computer(t)
	d.service = system.Stopped
	expect(t, New(s, d, folder).Launch(nil), Done, d, "its service is stopped")
	if !d.profile().Has(s) {
		t.Error("not configured")
	}
}

func TestDamagedSettingsStopTheStart(t *testing.T) {
	d, s, folder := computer(t)
	if err := os.MkdirAll(filepath.Dir(d.profile().Path()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.profile().Path(), []byte("[options"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.language = say.German
	expect(t, New(s, d, folder).Launch(nil), Failed, d, "ist beschädigt (kein TOML, Zeile 1) und bleibt, wie es ist")
	if len(d.started) > 0 {
		t.Error(d.started)
	}
}

func TestAccountOfTheSystemIsRefused(t *testing.T) {
	d, s, folder := computer(t)
	d.ofSystem = true
	expect(t, New(s, d, folder).Launch([]string{"--apply"}), Failed, d, "account of the system")
}

func TestWithoutAConsoleMessagesAreShown(t *testing.T) {
	d, s, folder := computer(t)
	d.console = false
	expect(t, New(s, d, folder).Launch([]string{"--version"}), Done, d, "ID server: rustdesk.example.org")
	expect(t, New(s, d, folder).Launch([]string{"--apply", "--check"}), Wrong, d, "Only one of")
	if len(d.shown) != 2 {
		t.Error(d.shown)
	}
}

func TestQuietShowsNothingAndTheLogTells(t *testing.T) {
	d, s, folder := computer(t)
	d.console = false
	log := filepath.Join(folder, "log.txt")
	expect(t, New(s, d, folder).Launch([]string{"--apply", "--quiet", "--log", log}), Done, d)
	expect(t, New(s, d, folder).Reset([]string{"--quiet", "--log", log}), Done, d)
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "Z RustDesk is set to rustdesk.example.org now\n") ||
		!strings.Contains(string(text), "Z RustDesk had no settings before") || strings.Count(string(text), "\n") != 2 {
		t.Error(string(text), err)
	}
}

func TestProofIsOneLineOfTheLog(t *testing.T) {
	var log bytes.Buffer
	logProofs(&log, proof.Report{Proofs: []proof.Result{{Name: "dns", State: "failed", Detail: say.T("%s", "a\r\ndns passed: b")}}})
	if got := log.String(); got != "dns failed: a dns passed: b\n" {
		t.Errorf("%q", got)
	}
}

func TestResetTellsWhatItDid(t *testing.T) {
	d, s, folder := computer(t)
	expect(t, New(s, d, folder).Launch([]string{"--apply", "--quiet"}), Done, d)
	expect(t, New(s, d, folder).Reset(nil), Done, d, "had no settings before rustdesk.example.org was set, and has none again")
	d.problems.Reset()
	d.service = system.Stopped
	expect(t, New(s, d, folder).Reset([]string{"--lang", "de"}), Done, d, "ist nichts von Example", "als Dienst installiert")
}

func TestResetDoesNotWriteBehindTheBackOfARunningRustDesk(t *testing.T) {
	d, s, folder := computer(t)
	expect(t, New(s, d, folder).Launch([]string{"--apply", "--quiet"}), Done, d)
	d.running = 99
	expect(t, New(s, d, folder).Reset(nil), Busy, d, "RustDesk is running")
	if !d.profile().Has(s) {
		t.Error("changed")
	}
}

func TestCommandLines(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		wanted    Command
		fault     string
	}{
		{[]string{}, Command{}, ""},
		{[]string{"--check", "--json", "--quiet"}, Command{Act: Check, JSON: true, Quiet: true}, ""},
		{[]string{"--", "--version"}, Command{Rest: []string{"--version"}}, ""},
		{[]string{"--quiet", "--connect", "1", "--", "--check"}, Command{Quiet: true, Rest: []string{"--connect", "1", "--", "--check"}}, ""},
		{[]string{"--log", "--check"}, Command{Log: "--check"}, ""},
		{[]string{"--log"}, Command{}, "--log needs a value"},
		{[]string{"--lang", "fr"}, Command{}, "--lang takes de or en, not fr"},
		{[]string{"--apply", "--connect"}, Command{}, "--connect is for rustdesk.exe"},
		{[]string{"--json"}, Command{}, "--json belongs to --check"},
		{[]string{"--check", "--apply"}, Command{}, "Only one of"},
	} {
		got, err := ParseLauncher(test.arguments)
		if test.fault != "" {
			if err == nil || !strings.HasPrefix(err.Error(), test.fault) {
				t.Errorf("%v: %v", test.arguments, err)
			}
			continue
		}
		if err != nil || got.Act != test.wanted.Act || got.JSON != test.wanted.JSON || got.Quiet != test.wanted.Quiet ||
			got.Log != test.wanted.Log || len(got.Rest) != len(test.wanted.Rest) ||
			len(got.Rest) > 0 && !reflect.DeepEqual(got.Rest, test.wanted.Rest) {
			t.Errorf("%v: %+v, %v", test.arguments, got, err)
		}
	}
	for _, arguments := range [][]string{{"--apply"}, {"--json"}, {"x"}} {
		if got, err := ParseReset(arguments); err == nil {
			t.Errorf("%v: %+v", arguments, got)
		}
	}
}
