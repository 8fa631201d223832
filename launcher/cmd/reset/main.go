// Reset is the program that gives RustDesk the settings back that it had before.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"rustdesk-launcher/internal/app"
	"rustdesk-launcher/internal/site"
	"rustdesk-launcher/internal/system"
)

func main() {
	path, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(app.Wrong)
	}
	os.Exit(app.New(site.Built(), system.Desk{}, filepath.Dir(path)).Reset(os.Args[1:]))
}
