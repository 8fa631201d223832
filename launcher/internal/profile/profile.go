// Package profile gives a user's RustDesk the settings of a site, and takes them back.
package profile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"rustdesk-launcher/internal/safefile"
	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/site"
	"rustdesk-launcher/internal/toml"
)

// SettingsName is the file of RustDesk's settings (hbb_common src/config.rs, Config2).
const SettingsName = "RustDesk2.toml"

// Profile is the folder of one user's settings.
type Profile struct{ directory string }

// Of returns the profile below a folder for application data, %APPDATA% on Windows.
func Of(applicationData string) Profile {
	return Profile{filepath.Join(applicationData, "RustDesk", "config")}
}

// Path returns where the settings are.
func (p Profile) Path() string { return filepath.Join(p.directory, SettingsName) }

func (p Profile) recordPath() string { return filepath.Join(p.directory, RecordName) }

// Has tells whether RustDesk would use this site's server with the settings as they are.
func (p Profile) Has(wanted site.Site) bool {
	content, err := safefile.Read(p.Path())
	if err != nil || content == nil {
		return false
	}
	values, err := toml.Parse(string(content))
	if err != nil {
		return false
	}
	found, _ := toml.Strings(values, site.Table)
	for _, setting := range wanted.Settings() {
		value := ""
		if setting.Value != nil {
			value = *setting.Value
		}
		if found[setting.Key] != value {
			return false
		}
	}
	return true
}

// Apply writes the settings of a site, and before that what was there, once. It returns whether anything changed.
func (p Profile) Apply(wanted site.Site) (bool, error) {
	before, saved, err := p.read()
	if err != nil {
		return false, err
	}
	text, err := merged(string(before), wanted)
	if err != nil {
		return false, p.fault(err)
	}
	if err := p.refuseNotStrings(text); err != nil {
		return false, err
	}
	after := []byte(text)
	isSame := before != nil && bytes.Equal(before, after)
	if isSame && saved == nil {
		return false, nil
	}
	recorded := p.update(saved, before, after, wanted, !isSame)
	missing := p.missing()
	recorded.setCreated(missing)
	if err := os.MkdirAll(p.directory, 0o700); err != nil {
		return false, say.Errorf("The folder %s cannot be made (%s)", p.directory, err)
	}
	p.removeLeftovers()
	// First the record: whatever happens then, what was there is known.
	if saved == nil || !bytes.Equal(saved.original, recorded.text()) {
		if err := safefile.Write(p.recordPath(), recorded.text()); err != nil {
			p.removeMade(missing)
			return false, err
		}
	}
	if isSame {
		return false, nil
	}
	if err := safefile.Write(p.Path(), after); err != nil {
		if saved == nil {
			err = errors.Join(err, p.forget(before, missing))
		}
		return false, err
	}
	return true, nil
}

// forget takes a record away whose settings could not be written. Where they are not what they were, somebody else has written
// them since, and that record is all that knows what was there before.
func (p Profile) forget(before []byte, made []string) error {
	now, err := safefile.Read(p.Path())
	if err != nil || (now == nil) != (before == nil) || !bytes.Equal(now, before) {
		return err
	}
	if err := safefile.Remove(p.recordPath()); err != nil {
		return err
	}
	p.removeMade(made)
	return nil
}

// removeLeftovers removes what a program that was killed has left beside the settings.
func (p Profile) removeLeftovers() {
	safefile.RemoveLeftovers(p.Path())
	safefile.RemoveLeftovers(p.recordPath())
}

// merged returns the settings with those of a site. An empty value is none to RustDesk, and stays where none is wanted.
func merged(text string, wanted site.Site) (string, error) {
	values, err := toml.Parse(text)
	if err != nil {
		return "", err
	}
	inside, _ := values[site.Table].(toml.Values)
	settings := slices.DeleteFunc(wanted.Settings(), func(setting toml.Setting) bool {
		return setting.Value == nil && inside[setting.Key] == ""
	})
	return toml.Merge(text, site.Table, settings)
}

// savedRecord is a record as it was read.
type savedRecord struct {
	*record
	original []byte
}

func (p Profile) read() (settings []byte, saved *savedRecord, err error) {
	if settings, err = safefile.Read(p.Path()); err != nil {
		return nil, nil, err
	}
	text, err := safefile.Read(p.recordPath())
	if err != nil || text == nil {
		return settings, nil, err
	}
	found, err := readRecord(p.recordPath(), text)
	if err != nil {
		return nil, nil, err
	}
	return settings, &savedRecord{found, text}, nil
}

func (p Profile) update(saved *savedRecord, before, after []byte, wanted site.Site, isChanged bool) *record {
	recorded := newRecord()
	if saved != nil {
		// A copy, as what was read is compared with later.
		recorded, _ = readRecord(p.recordPath(), saved.text())
	}
	found, exists := recorded.entry(SettingsName)
	if !exists {
		found = recorded.add(SettingsName, before)
	}
	for _, setting := range wanted.Settings() {
		if setting.Value == nil {
			found.ours()[setting.Key] = nil
		} else {
			found.ours()[setting.Key] = *setting.Value
		}
	}
	if isChanged {
		found.follow(exists, before, after)
	}
	return recorded
}

func (p Profile) fault(err error) error {
	var problem *toml.Error
	if !errors.As(err, &problem) {
		return err
	}
	switch {
	case problem.Unsafe:
		return say.Errorf("%s is written in a way that cannot be changed safely, and is left as it is. Write its tables as [table] "+
			"lines, or move it away", p.Path())
	case problem.Line > 0:
		return say.Errorf("%s is damaged (it is not TOML, line %d), and is left as it is. Correct it, or move it away", p.Path(),
			problem.Line)
	}
	return say.Errorf("%s is damaged (it is not TOML), and is left as it is. Correct it, or move it away", p.Path())
}

// refuseNotStrings refuses settings that RustDesk would not read: one value that is no string makes it ignore all of them.
func (p Profile) refuseNotStrings(text string) error {
	values, err := toml.Parse(text)
	if err != nil {
		return p.fault(err)
	}
	if _, wrong := toml.Strings(values, site.Table); len(wrong) > 0 {
		sort.Strings(wrong)
		return say.Errorf("%s: %s in [%s] is not in quotes, so RustDesk ignores every value there. Put it in quotes, or remove it",
			p.Path(), wrong[0], site.Table)
	}
	return nil
}

// missing returns the folders of the profile that do not exist, outermost first.
func (p Profile) missing() []string {
	found := []string{}
	for _, path := range []string{filepath.Dir(p.directory), p.directory} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			found = append(found, path)
		}
	}
	return found
}

// removeMade removes folders that are empty; one that is not stays.
func (p Profile) removeMade(paths []string) {
	for _, path := range slices.Backward(paths) {
		if !p.isOwn(path) || os.Remove(path) != nil {
			return
		}
	}
}

// isOwn tells whether a folder is the profile's: a record may say what it wants.
func (p Profile) isOwn(path string) bool {
	return strings.EqualFold(path, p.directory) || strings.EqualFold(path, filepath.Dir(p.directory))
}
