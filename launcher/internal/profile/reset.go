package profile

import (
	"bytes"
	"strings"

	"rustdesk-launcher/internal/safefile"
	"rustdesk-launcher/internal/site"
	"rustdesk-launcher/internal/toml"
)

// Outcome is what a reset has done.
type Outcome int

// The outcomes of a reset.
const (
	Nothing  Outcome = iota // there was nothing of the site's
	Restored                // the settings are what they were, byte for byte
	Removed                 // there had been no settings, and there are none now
	Undone                  // the user has changed the settings since: only the site's values were taken out
	Managed                 // as Undone, and the computer is configured by the role too, whose part stays
)

// Reset gives back what Apply has found. It can be run again.
func (p Profile) Reset(from site.Site) (Outcome, error) {
	now, saved, err := p.read()
	if err != nil {
		return Nothing, err
	}
	if saved == nil {
		return p.resetUnrecorded(now, from)
	}
	if !saved.isOursAlone() {
		return p.resetManaged(now, saved)
	}
	outcome := Nothing
	if found, exists := saved.entry(SettingsName); exists {
		var back []byte
		if back, outcome, err = p.givenBack(found, now); err != nil {
			return Nothing, err
		}
		if err := p.put(now, back); err != nil {
			return Nothing, err
		}
	}
	if err := safefile.Remove(p.recordPath()); err != nil {
		return Nothing, err
	}
	p.removeLeftovers()
	p.removeMade(saved.created())
	return outcome, nil
}

func (p Profile) put(now, back []byte) error {
	switch {
	case back == nil:
		return safefile.Remove(p.Path())
	case now != nil && bytes.Equal(now, back):
		return nil
	}
	return safefile.Write(p.Path(), back)
}

// givenBack returns what the file is to hold, nil when it is to go.
func (p Profile) givenBack(found entry, now []byte) ([]byte, Outcome, error) {
	before := found.before()
	switch {
	case now == nil && before == nil:
		return nil, Nothing, nil
	case before != nil && (now == nil || found.isAfter(now)):
		return before, Restored, nil
	case found.isAfter(now):
		return nil, Removed, nil
	}
	text, err := p.restored(found, now)
	if err != nil {
		return nil, Nothing, err
	}
	if before == nil && strings.TrimSpace(strings.TrimPrefix(text, toml.BOM)) == "" {
		return nil, Removed, nil
	}
	outcome := Undone
	if text == string(now) {
		outcome = Nothing
	}
	return []byte(text), outcome, nil
}

// restored returns the settings with those values taken back that are still ours.
func (p Profile) restored(found entry, now []byte) (string, error) {
	before := found.before()
	old, err := toml.Parse(string(before))
	if err != nil {
		return "", p.fault(err)
	}
	values, err := toml.Parse(string(now))
	if err != nil {
		return "", p.fault(err)
	}
	wasThere, _ := old[site.Table].(toml.Values)
	isThere, _ := values[site.Table].(toml.Values)
	isServerOurs := isThere[site.ServerKey] == found.ours()[site.ServerKey]
	settings := []toml.Setting{}
	for _, setting := range (site.Site{}).Settings() {
		recorded, isRecorded := found.ours()[setting.Key]
		// nil, what a record has for a key that is not to be there, is also what a key has that is not there.
		if !isRecorded || isThere[setting.Key] != recorded {
			continue
		}
		// What we have taken out belonged to the server before ours, and not to one that was chosen since.
		if recorded == nil && !isServerOurs {
			continue
		}
		setting.Value = nil
		if text, isText := wasThere[setting.Key].(string); isText {
			setting.Value = &text
		}
		settings = append(settings, setting)
	}
	text, err := toml.Merge(string(now), site.Table, settings)
	if err != nil {
		return "", p.fault(err)
	}
	return p.withoutEmptyTable(text, before)
}

// withoutEmptyTable takes the header away that was made for our values.
func (p Profile) withoutEmptyTable(text string, before []byte) (string, error) {
	wasThere, err := toml.HasTable(string(before), site.Table)
	if err != nil || wasThere {
		return text, err
	}
	return toml.WithoutHeader(text, site.Table)
}

// resetManaged takes our values out of settings that the role looks after, and out of its record.
func (p Profile) resetManaged(now []byte, saved *savedRecord) (Outcome, error) {
	found, exists := saved.entry(SettingsName)
	if !exists || now == nil {
		return Nothing, nil
	}
	text, err := p.restored(found, now)
	if err != nil || text == string(now) {
		return Nothing, err
	}
	for _, setting := range (site.Site{}).Settings() {
		delete(found.ours(), setting.Key)
	}
	if err := safefile.Write(p.Path(), []byte(text)); err != nil {
		return Nothing, err
	}
	return Managed, safefile.Write(p.recordPath(), saved.text())
}

// resetUnrecorded takes out the values of a site that nobody has recorded: a configuration string brought them.
func (p Profile) resetUnrecorded(now []byte, from site.Site) (Outcome, error) {
	if now == nil || !p.Has(from) {
		return Nothing, nil
	}
	settings := from.Settings()
	for index := range settings {
		settings[index].Value = nil
	}
	text, err := toml.Merge(string(now), site.Table, settings)
	if err != nil {
		return Nothing, p.fault(err)
	}
	return Undone, safefile.Write(p.Path(), []byte(text))
}

// IsConfigured tells whether a reset would find something: a record, or the site's own settings.
func (p Profile) IsConfigured(by site.Site) bool {
	text, err := safefile.Read(p.recordPath())
	return err != nil || text != nil || p.Has(by)
}
