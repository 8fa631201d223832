package profile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rustdesk-launcher/internal/site"
)

func example() site.Site {
	return site.Site{Company: "Example", Host: "rustdesk.example.org", Key: "5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM=",
		Port: site.DefaultPort, RelayPort: site.DefaultRelayPort}
}

func other() site.Site {
	found := example()
	found.Host, found.Relay, found.API = "id.example.net", "relay.example.net", "https://api.example.net"
	return found
}

// home is a profile in an empty folder; with a text, its settings.
func home(t *testing.T, text ...string) Profile {
	t.Helper()
	found := Of(filepath.Join(t.TempDir(), "Jörg Müller"))
	for _, content := range text {
		if err := os.MkdirAll(found.directory, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, found.Path(), content)
	}
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	found, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(found)
}

func apply(t *testing.T, to Profile, from site.Site, wanted bool) {
	t.Helper()
	if changed, err := to.Apply(from); err != nil || changed != wanted {
		t.Fatal(changed, err)
	}
}

func reset(t *testing.T, of Profile, wanted Outcome) {
	t.Helper()
	if got, err := of.Reset(example()); err != nil || got != wanted {
		t.Fatalf("%v, %v instead of %v", got, err, wanted)
	}
}

func names(t *testing.T, folder string) string {
	t.Helper()
	found, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, entry := range found {
		out = append(out, entry.Name())
	}
	return strings.Join(out, " ")
}

var before = []string{
	"[options]\nkey = 'mine' # why\nrelay-server = 'r'\n", "# only this", "\ufeffa = 1\r\n\r\n[options]\r\n", "", "a = 1\n\n\n",
	"options = { relay-server = 'x' }\n", "[socks]\nproxy = ''\n[socks.sub]\na = 'b'\n",
}

func TestResetGivesBackWhatWasThereByteForByte(t *testing.T) {
	for _, text := range before {
		found := home(t, text)
		apply(t, found, example(), true)
		if !found.Has(example()) {
			t.Errorf("%q became %q", text, content(t, found.Path()))
		}
		apply(t, found, example(), false)
		apply(t, found, other(), true)
		apply(t, found, example(), true)
		reset(t, found, Restored)
		if got := content(t, found.Path()); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		if got := names(t, found.directory); got != SettingsName {
			t.Errorf("%q: %s are there", text, got)
		}
		reset(t, found, Nothing)
	}
}

func TestFreshProfileIsLeftAsItWas(t *testing.T) {
	found := home(t)
	apply(t, found, example(), true)
	wanted := "[options]\ncustom-rendezvous-server = 'rustdesk.example.org'\nkey = '5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM='\n"
	if got := content(t, found.Path()); got != wanted {
		t.Error(got)
	}
	reset(t, found, Removed)
	if _, err := os.Stat(filepath.Dir(found.directory)); !os.IsNotExist(err) {
		t.Error(err)
	}
	reset(t, found, Nothing)
}

func TestFolderThatSomebodyElseUsesStays(t *testing.T) {
	found := home(t)
	apply(t, found, example(), true)
	write(t, filepath.Join(found.directory, "RustDesk.toml"), "id = '1'\n")
	reset(t, found, Removed)
	if got := names(t, found.directory); got != "RustDesk.toml" {
		t.Error(got)
	}
}

func TestFirstSavedStateIsKept(t *testing.T) {
	found := home(t, "[options]\nkey = 'first'\n")
	apply(t, found, example(), true)
	// As RustDesk writes it at its end: other quotes, other order, more keys; then somebody else's launcher.
	write(t, found.Path(), strings.ReplaceAll(content(t, found.Path()), "'", "\"")+"av1-test = 'N'\n")
	apply(t, found, example(), false)
	apply(t, found, other(), true)
	apply(t, found, example(), true)
	reset(t, found, Undone)
	if got := content(t, found.Path()); got != "[options]\nkey = 'first'\nav1-test = 'N'\n" {
		t.Error(got)
	}
}

func TestWhatWasChangedBetweenTwoAppliesIsKept(t *testing.T) {
	const added = "whitelist = '192.0.2.1'\n"
	for before, wanted := range map[string]string{
		"":                           "[options]\n" + added,
		"[options]\nkey = 'first'\n": "[options]\nkey = 'first'\n" + added,
	} {
		found := home(t)
		if before != "" {
			found = home(t, before)
		}
		apply(t, found, example(), true)
		write(t, found.Path(), content(t, found.Path())+added)
		apply(t, found, other(), true)
		reset(t, found, Undone)
		if got := content(t, found.Path()); got != wanted {
			t.Errorf("%q", got)
		}
	}
}

func TestSettingsThatAreGoneComeBack(t *testing.T) {
	for _, text := range before {
		found := home(t, text)
		apply(t, found, example(), true)
		if err := os.Remove(found.Path()); err != nil {
			t.Fatal(err)
		}
		reset(t, found, Restored)
		if got := content(t, found.Path()); got != text || names(t, found.directory) != SettingsName {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	found := home(t)
	apply(t, found, example(), true)
	if err := os.Remove(found.Path()); err != nil {
		t.Fatal(err)
	}
	reset(t, found, Nothing)
	if _, err := os.Stat(filepath.Dir(found.directory)); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestWhatTheUserChangedSinceIsKept(t *testing.T) {
	found := home(t, "[options]\nkey = 'first'\nrelay-server = 'r'\n")
	apply(t, found, example(), true)
	write(t, found.Path(), "nat_type = 1\n"+content(t, found.Path())+"api-server = 'https://mine'\nlang = 'de'\n")
	reset(t, found, Undone)
	wanted := "nat_type = 1\n[options]\nkey = 'first'\napi-server = 'https://mine'\nlang = 'de'\nrelay-server = 'r'\n"
	if got := content(t, found.Path()); got != wanted {
		t.Errorf("%q", got)
	}
	reset(t, found, Nothing)
}

func TestServerThatTheUserChoseSinceStays(t *testing.T) {
	const old = "[options]\ncustom-rendezvous-server = 'old'\nrelay-server = 'old'\napi-server = 'https://old'\n"
	for _, found := range []Profile{home(t), home(t, old)} {
		apply(t, found, example(), true)
		text := "[options]\ncustom-rendezvous-server = 'own.example.com'\nkey = 'own'\n"
		write(t, found.Path(), text)
		reset(t, found, Nothing)
		if got := content(t, found.Path()); got != text {
			t.Error(got)
		}
	}
}

func TestSettingsThatCameByAConfigurationStringAreTakenOut(t *testing.T) {
	found := home(t, "[options]\nlang = 'de'\nkey = '5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM='\n"+
		"custom-rendezvous-server = 'rustdesk.example.org'\n")
	apply(t, found, example(), false)
	if got := names(t, found.directory); got != SettingsName {
		t.Error(got)
	}
	reset(t, found, Undone)
	if got := content(t, found.Path()); got != "[options]\nlang = 'de'\n" {
		t.Error(got)
	}
}

func TestEmptyValueThatIsNotWantedStays(t *testing.T) {
	ours := "[options]\nrelay-server = ''\ncustom-rendezvous-server = 'rustdesk.example.org'\nkey = '" + example().Key + "'\n"
	found := home(t, ours)
	apply(t, found, example(), false)
	if got := content(t, found.Path()); got != ours || names(t, found.directory) != SettingsName {
		t.Error(got)
	}
	found = home(t, "[options]\nrelay-server = ''\n")
	apply(t, found, example(), true)
	if got := content(t, found.Path()); got != ours {
		t.Error(got)
	}
	apply(t, found, other(), true)
	if !found.Has(other()) {
		t.Error(content(t, found.Path()))
	}
}

func TestOtherCompanysSettingsAreTakenOutWithTheirRelay(t *testing.T) {
	found := home(t)
	apply(t, found, other(), true)
	apply(t, found, example(), true)
	if got := content(t, found.Path()); strings.Contains(got, "example.net") {
		t.Error(got)
	}
}

func TestInterruptedBetweenRecordAndSettings(t *testing.T) {
	for _, text := range before {
		found := home(t, text)
		apply(t, found, example(), true)
		// The record was written, the settings were not.
		write(t, found.Path(), text)
		apply(t, found, example(), true)
		reset(t, found, Restored)
		if got := content(t, found.Path()); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		apply(t, found, example(), true)
		write(t, found.Path(), text)
		reset(t, found, Nothing)
		if got := content(t, found.Path()); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
}

func TestWhatCannotBeReadIsReportedAndLeftAlone(t *testing.T) {
	for text, wanted := range map[string]string{
		"[options\n":                    "it is not TOML, line 1",
		"a = 1\n\xff":                   "it is not TOML, line 2",
		"options = 'x'\n":               "cannot be changed safely",
		"[options]\ndirect = 1\n":       "direct in [options] is not in quotes",
		"[options]\nkey = 1\nkey = 2\n": "line 3",
	} {
		found := home(t, text)
		if _, err := found.Apply(example()); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%q: %v", text, err)
		}
		if got := content(t, found.Path()); got != text || names(t, found.directory) != SettingsName {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestReadOnlySettingsStay(t *testing.T) {
	found := home(t, "a = 1\n")
	if err := os.Chmod(found.Path(), 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := found.Apply(example()); err == nil || !strings.Contains(err.Error(), "is read-only") {
		t.Error(err)
	}
	if got := names(t, found.directory); got != SettingsName {
		t.Error(got)
	}
}

func TestNothingIsLeftWhenTheSettingsCannotBeWritten(t *testing.T) {
	found := home(t)
	// A folder where the file belongs cannot be replaced by one.
	if err := os.MkdirAll(found.Path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := found.Apply(example()); err == nil {
		t.Error("written")
	}
	if got := names(t, found.directory); got != SettingsName {
		t.Error(got)
	}
}

func TestRecordStaysWhenSomebodyElseHasWrittenTheSettingsMeanwhile(t *testing.T) {
	const mine = "a = 1\n"
	for now, wanted := range map[string]string{mine: SettingsName, "a = 2\n": SettingsName + " " + RecordName} {
		found := home(t, now)
		write(t, found.recordPath(), "{}")
		if err := found.forget([]byte(mine), nil); err != nil {
			t.Error(err)
		}
		if got := names(t, found.directory); got != wanted {
			t.Errorf("%q: %s are there", now, got)
		}
	}
	found := home(t, "")
	write(t, found.recordPath(), "{}")
	if err := found.forget(nil, nil); err != nil || names(t, found.directory) != SettingsName+" "+RecordName {
		t.Error(err, names(t, found.directory))
	}
}

func TestLeftoversBesideSettingsAndRecordGo(t *testing.T) {
	litter := func(of Profile) {
		for _, path := range []string{of.Path() + ".1.tmp", of.recordPath() + ".1.tmp"} {
			write(t, path, "")
			if err := os.Chtimes(path, time.Now(), time.Now().Add(-2*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	found := home(t, "")
	litter(found)
	apply(t, found, example(), true)
	if got := names(t, found.directory); got != SettingsName+" "+RecordName {
		t.Error(got)
	}
	found = home(t)
	apply(t, found, example(), true)
	litter(found)
	reset(t, found, Removed)
	if _, err := os.Stat(filepath.Dir(found.directory)); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestRecordThatIsNoneIsLeftAlone(t *testing.T) {
	for _, text := range []string{"{", "[]", `{"format": 2, "files": {}}`, `{"format": 1, "files": []}`, `{"format": 1, "files": {"a": 1}}`} {
		found := home(t, "a = 1\n")
		write(t, found.recordPath(), text)
		if _, err := found.Apply(example()); err == nil || !strings.Contains(err.Error(), "not a record of ours") {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := found.Reset(example()); err == nil || !strings.Contains(err.Error(), "not a record of ours") {
			t.Errorf("%s: %v", text, err)
		}
		if content(t, found.Path()) != "a = 1\n" || content(t, found.recordPath()) != text {
			t.Errorf("%s: changed", text)
		}
	}
}

const ofTheRole = `{"about": "of the role", "created": [], "files": {
  "RustDesk_local.toml": {"after": "x", "before": null, "set": {"options": {"lang": "de"}}},
  "RustDesk2.toml": {"after": "x", "before": "[options]\nkey = 'first'\n", "set": {"options": {"direct-server": "N"}, "socks": {"password": {"scrypt": "a$b"}}}}
}, "format": 1, "package": "1.4.9"}`

func TestRecordOfTheRoleIsKeptAndAddedTo(t *testing.T) {
	text := "[options]\nkey = 'role'\ndirect-server = 'N'\n"
	found := home(t, text)
	write(t, found.recordPath(), ofTheRole)
	apply(t, found, example(), true)
	var recorded struct {
		About, Package string
		Files          map[string]struct {
			Before *string
			After  string
			Set    map[string]map[string]any
		}
	}
	if err := json.Unmarshal([]byte(content(t, found.recordPath())), &recorded); err != nil {
		t.Fatal(err)
	}
	ours := recorded.Files[SettingsName]
	if recorded.About != "of the role" || recorded.Package != "1.4.9" || *ours.Before != "[options]\nkey = 'first'\n" ||
		ours.Set["options"]["direct-server"] != "N" || ours.Set["options"]["custom-rendezvous-server"] != "rustdesk.example.org" ||
		ours.Set["socks"] == nil || ours.After != "" {
		t.Errorf("%+v", recorded)
	}
	reset(t, found, Managed)
	if got := content(t, found.Path()); got != "[options]\nkey = 'first'\ndirect-server = 'N'\n" {
		t.Error(got)
	}
	if got := content(t, found.recordPath()); !strings.Contains(got, "direct-server") || strings.Contains(got, "custom-rendezvous-server") {
		t.Error(got)
	}
	reset(t, found, Nothing)
}

func TestRecordDoesNotLeadElsewhere(t *testing.T) {
	found := home(t, "a = 1\n")
	apply(t, found, example(), true)
	elsewhere := t.TempDir()
	text := strings.Replace(content(t, found.recordPath()), `"created": []`, `"created": [`+string(must(json.Marshal(elsewhere)))+`]`, 1)
	write(t, found.recordPath(), text)
	reset(t, found, Restored)
	if _, err := os.Stat(elsewhere); err != nil {
		t.Error(err)
	}
}

func must(out []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out)
}
