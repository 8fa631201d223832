// Package site holds what belongs to the company that hands the launchers out. A build puts its own site.json in place of the
// example in this folder (plugins/modules/rustdesk_launchers.py).
package site

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"rustdesk-launcher/internal/configstring"
	"rustdesk-launcher/internal/toml"
)

// DefaultPort is that of hbbs (hbb_common src/config.rs, RENDEZVOUS_PORT).
const DefaultPort = 21116

// DefaultRelayPort is that of a relay that is named without one (hbb_common src/config.rs, RELAY_PORT).
const DefaultRelayPort = 21117

// Client is the RustDesk that belongs into the bundle.
type Client struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// Site is one company's service, and the launchers that were built for it. Clients are told no Relay as a rule, as hbbs names one to
// them; the proofs go through ProvenRelay then.
type Site struct {
	Company      string `json:"company"`
	Host         string `json:"host"`
	Relay        string `json:"relay"`
	ProvenRelay  string `json:"proven_relay"`
	API          string `json:"api"`
	Key          string `json:"key"`
	Port         int    `json:"port"`
	RelayPort    int    `json:"relay_port"`
	DownloadURL  string `json:"download_url"`
	Email        string `json:"email"`
	Phone        string `json:"phone"`
	Client       Client `json:"client"`
	Version      string `json:"version"`
	LauncherName string `json:"launcher_name"`
	ResetName    string `json:"reset_name"`
}

//go:embed site.json
var built []byte

// Built returns the site that this program was built for.
func Built() Site {
	var found Site
	if err := json.Unmarshal(built, &found); err != nil {
		panic(fmt.Sprintf("built with a site.json that is none: %v", err))
	}
	return found
}

// Server returns the ID server as clients write it: with a port where it is not the usual one.
func (s Site) Server() string { return endpoint(s.Host, s.Port, DefaultPort) }

func endpoint(host string, port, usual int) string {
	if port == usual {
		if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Config returns the server as it stands in a configuration string.
func (s Site) Config() configstring.Config {
	return configstring.Config{Host: s.Server(), Relay: s.Relay, API: s.API, Key: s.Key}
}

// Table is where the settings of a server stand in RustDesk2.toml.
const Table = "options"

// ServerKey is the setting that names the ID server.
const ServerKey = "custom-rendezvous-server"

// Settings returns what RustDesk2.toml has to say in its table of options (hbb_common src/config.rs). What the site has no
// value for must not be there: it would be another company's.
func (s Site) Settings() []toml.Setting {
	return []toml.Setting{
		{Key: ServerKey, Value: given(s.Server())},
		{Key: "relay-server", Value: given(s.Relay)},
		{Key: "api-server", Value: given(s.API)},
		{Key: "key", Value: given(s.Key)},
	}
}

func given(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
