package profile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"rustdesk-launcher/internal/say"
	"rustdesk-launcher/internal/site"
)

// RecordName is the record beside the settings: what was there first, and what has been set since. The Ansible role
// rustdesk_client writes and reads the same one (plugins/module_utils/client_plan.py).
const RecordName = "rustdesk_client.json"

const recordAbout = "What was here before RustDesk was configured, and what has been set since. " +
	"The reset program and the Ansible role rustdesk_client give it back; both need this file."

// recordFormat is the only one there has been.
const recordFormat = json.Number("1")

// record keeps everything that it was read with, also what only the role knows.
type record struct{ content map[string]any }

// entry is what a record says of one file.
type entry struct{ content map[string]any }

func newRecord() *record {
	return &record{map[string]any{"about": recordAbout, "format": recordFormat, "files": map[string]any{}}}
}

func readRecord(path string, text []byte) (*record, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var content map[string]any
	err := decoder.Decode(&content)
	files, hasFiles := content["files"].(map[string]any)
	if err != nil || content["format"] != recordFormat || !hasFiles && content["files"] != nil {
		return nil, notOurs(path)
	}
	for _, file := range files {
		if _, isEntry := file.(map[string]any); !isEntry {
			return nil, notOurs(path)
		}
	}
	if !hasFiles {
		content["files"] = map[string]any{}
	}
	return &record{content}, nil
}

func notOurs(path string) error {
	return say.Errorf("%s is not a record of ours, so what was there before is not known. Restore it from a backup, or move it away",
		path)
}

func (r *record) text() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r.content); err != nil {
		panic(err) // it was JSON before
	}
	return out.Bytes()
}

func (r *record) files() map[string]any { return r.content["files"].(map[string]any) }

func (r *record) entry(file string) (entry, bool) {
	found, exists := r.files()[file].(map[string]any)
	return entry{found}, exists
}

// add begins the record of a file with what is there now, nil for nothing.
func (r *record) add(file string, before []byte) entry {
	made := map[string]any{"before": nil, "set": map[string]any{}}
	if before != nil {
		made["before"] = string(before)
	}
	r.files()[file] = made
	return entry{made}
}

// isOursAlone tells whether a record says nothing but what a launcher sets, so that all of it can be given back.
func (r *record) isOursAlone() bool {
	for name := range r.files() {
		found, _ := r.entry(name)
		for table, keys := range found.tables() {
			for key := range keys {
				if name != SettingsName || table != site.Table || !isOurKey(key) {
					return false
				}
			}
		}
	}
	return r.content["package"] == nil && r.content["installing"] == nil
}

func isOurKey(key string) bool {
	for _, setting := range (site.Site{}).Settings() {
		if setting.Key == key {
			return true
		}
	}
	return false
}

// created returns the folders that were made for the settings, outermost first.
func (r *record) created() []string {
	found, _ := r.content["created"].([]any)
	out := []string{}
	for _, item := range found {
		if path, isText := item.(string); isText {
			out = append(out, path)
		}
	}
	return out
}

func (r *record) setCreated(paths []string) {
	if _, exists := r.content["created"]; exists {
		return
	}
	made := []any{}
	for _, path := range paths {
		made = append(made, path)
	}
	r.content["created"] = made
}

func (e entry) tables() map[string]map[string]any {
	out := map[string]map[string]any{}
	all, _ := e.content["set"].(map[string]any)
	for table, keys := range all {
		if inside, isTable := keys.(map[string]any); isTable {
			out[table] = inside
		}
	}
	return out
}

// ours returns what has been set in the table of options.
func (e entry) ours() map[string]any {
	all, _ := e.content["set"].(map[string]any)
	if all == nil {
		all = map[string]any{}
		e.content["set"] = all
	}
	inside, _ := all[site.Table].(map[string]any)
	if inside == nil {
		inside = map[string]any{}
		all[site.Table] = inside
	}
	return inside
}

// before returns the content of the file when nobody had configured it, nil when there was none.
func (e entry) before() []byte {
	if text, isText := e.content["before"].(string); isText {
		return []byte(text)
	}
	return nil
}

// follow notes what a change makes of the file. Where somebody else has changed it since the record began, the result is not
// ours alone and must not be replaced by what was there before: no digest stands for that.
func (e entry) follow(isOld bool, now, after []byte) {
	if isOld && !bytes.Equal(now, e.before()) && !e.isAfter(now) {
		delete(e.content, "after")
		return
	}
	e.content["after"] = digest(after)
}

func (e entry) isAfter(content []byte) bool { return e.content["after"] == digest(content) }

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
