// Crosscheck lets the Python tests ask what the Go implementations do: one JSON request a line, one answer a line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"rustdesk-launcher/internal/configstring"
	"rustdesk-launcher/internal/site"
	"rustdesk-launcher/internal/toml"
)

type request struct {
	Text     string                        `json:"text"`
	Settings map[string]map[string]*string `json:"settings"`
	Without  string                        `json:"without"`
	Site     *site.Site                    `json:"site"`
	Target   bool                          `json:"target"`
}

type answer struct {
	Text   string `json:"text"`
	Error  string `json:"error"`
	Unsafe bool   `json:"unsafe"`
}

func answered(asked request) (string, error) {
	text := asked.Text
	if asked.Target {
		found := asked.Site.Target()
		return fmt.Sprintf("%s %d %s %d", found.Host, found.Port, found.RelayHost, found.RelayPort), nil
	}
	if asked.Site != nil {
		return configstring.Encode(asked.Site.Config()), nil
	}
	if asked.Without != "" {
		return toml.WithoutHeader(text, asked.Without)
	}
	if _, err := toml.Parse(text); err != nil {
		return "", err
	}
	tables := []string{}
	for table := range asked.Settings {
		tables = append(tables, table)
	}
	sort.Strings(tables)
	for _, table := range tables {
		settings := []toml.Setting{}
		for key, value := range asked.Settings[table] {
			settings = append(settings, toml.Setting{Key: key, Value: value})
		}
		sort.Slice(settings, func(i, j int) bool { return settings[i].Key < settings[j].Key })
		var err error
		if text, err = toml.Merge(text, table, settings); err != nil {
			return "", err
		}
	}
	return text, nil
}

func main() {
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		var said answer
		if said.Text, err = answered(asked); err != nil {
			said.Error = err.Error()
			problem, isToml := err.(*toml.Error)
			said.Unsafe = isToml && problem.Unsafe
		}
		if err := out.Encode(said); err != nil {
			panic(err)
		}
	}
}
