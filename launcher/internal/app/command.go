package app

import (
	"slices"

	"rustdesk-launcher/internal/say"
)

// Act is what a program is asked for.
type Act int

// The acts; only some of them belong to both programs.
const (
	Start Act = iota // or Reset: what a double click does
	Apply
	Check
	PrintConfig
	Version
	Help
)

// Command is a command line.
type Command struct {
	Act      Act
	JSON     bool
	Quiet    bool
	Log      string
	Language say.Language
	// Rest belongs to rustdesk.exe.
	Rest []string
}

var acts = map[string]Act{
	"--apply": Apply, "--check": Check, "--print-config": PrintConfig, "--version": Version, "--help": Help,
}

// ParseLauncher reads the command line of the launcher. Its own options come first; from the first argument on that is none
// of them, everything is for rustdesk.exe. Two hyphens alone end them, too, and are not passed on.
func ParseLauncher(arguments []string) (Command, error) {
	found, err := parseOwn(arguments, []Act{Apply, Check, PrintConfig, Version, Help})
	switch {
	case err != nil:
		return found, err
	case found.JSON && found.Act != Check:
		return found, say.Errorf("--json belongs to --check; see --help")
	case found.Act != Start && len(found.Rest) > 0:
		return found, say.Errorf("%s is for rustdesk.exe, which is not started here; see --help", found.Rest[0])
	}
	return found, nil
}

// ParseReset reads the command line of the reset program.
func ParseReset(arguments []string) (Command, error) {
	found, err := parseOwn(arguments, []Act{Version, Help})
	switch {
	case err != nil:
		return found, err
	case found.JSON:
		return found, say.Errorf("%s is no option of this program; see --help", "--json")
	case len(found.Rest) > 0:
		return found, say.Errorf("%s is no option of this program; see --help", found.Rest[0])
	}
	return found, nil
}

func parseOwn(arguments []string, allowed []Act) (Command, error) {
	found := Command{}
	for index := 0; index < len(arguments); index++ {
		argument := arguments[index]
		act, isAct := acts[argument]
		switch {
		case argument == "--":
			found.Rest = arguments[index+1:]
			return found, nil
		case isAct && slices.Contains(allowed, act):
			if found.Act != Start && found.Act != act {
				return found, say.Errorf("Only one of --apply, --check, --print-config and --version can be done at a time")
			}
			found.Act = act
		case argument == "--json":
			found.JSON = true
		case argument == "--quiet":
			found.Quiet = true
		case argument == "--log" || argument == "--lang":
			index++
			if index == len(arguments) {
				return found, say.Errorf("%s needs a value; see --help", argument)
			}
			if err := found.take(argument, arguments[index]); err != nil {
				return found, err
			}
		default:
			found.Rest = arguments[index:]
			return found, nil
		}
	}
	return found, nil
}

func (c *Command) take(option, value string) error {
	if option == "--log" {
		c.Log = value
		return nil
	}
	c.Language = say.Language(value)
	if c.Language != say.English && c.Language != say.German {
		return say.Errorf("--lang takes de or en, not %s", value)
	}
	return nil
}
