// Launcher is the program that customers start: it sets RustDesk to the site's server and runs it.
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
	os.Exit(app.New(site.Built(), system.Desk{}, filepath.Dir(path)).Launch(os.Args[1:]))
}
