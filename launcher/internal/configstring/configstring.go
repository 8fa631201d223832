// Package configstring writes RustDesk's configuration string: a JSON object of host, relay, api and key as URL-safe base64
// without padding, its characters reversed (rustdesk src/naming.rs, src/custom_server.rs).
package configstring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
)

// Config is a server as clients know it, in the order in which the string has its parts.
type Config struct {
	Host  string `json:"host"`
	Relay string `json:"relay"`
	API   string `json:"api"`
	Key   string `json:"key"`
}

// Encode returns the configuration string. Values are printable ASCII; whoever builds the launcher has checked that.
func Encode(config Config) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(config); err != nil {
		panic(err) // four strings are always JSON
	}
	encoded := []byte(base64.RawURLEncoding.EncodeToString(bytes.TrimSuffix(text.Bytes(), []byte("\n"))))
	slices.Reverse(encoded)
	return string(encoded)
}
