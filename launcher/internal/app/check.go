package app

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"rustdesk-launcher/internal/proof"
	"rustdesk-launcher/internal/say"
)

// check proves the server and shows what was found.
func (a *App) check() int {
	report := proof.Prove(a.site.Target(), proof.Patience)
	switch {
	case a.command.JSON:
		a.print(inJSON(report))
	case !a.command.Quiet:
		a.print(a.table(report))
	}
	if a.log != nil {
		logProofs(a.log, report)
	}
	if report.Passed() {
		return Done
	}
	return Failed
}

func logProofs(log io.Writer, report proof.Report) {
	for _, result := range report.Proofs {
		_, _ = fmt.Fprintf(log, "%s %s: %s\n", result.Name, result.State, folded(result.Detail.In(say.English)))
	}
}

// table shows a report to people: a line for each proof, and under one that failed what to do.
func (a *App) table(report proof.Report) string {
	states := map[string]say.Text{"passed": say.T("passed"), "failed": say.T("FAILED"), "skipped": say.T("skipped")}
	lines := []string{say.T("RustDesk at %s, seen from this computer:", a.site.Server()).In(a.language), ""}
	given := 0
	for _, result := range report.Proofs {
		took := ""
		if result.LatencyMS != nil {
			took = fmt.Sprintf("%.1f ms", *result.LatencyMS)
		}
		lines = append(lines, fmt.Sprintf("  %-14s  %-13s %10s  %s", result.Name, states[result.State].In(a.language), took,
			result.Detail.In(a.language)))
		if result.State == "failed" {
			lines = append(lines, strings.Repeat(" ", 43)+"→ "+result.Remedy.In(a.language))
		}
		if result.State == "passed" {
			given++
		}
	}
	lines = append(lines, "", say.T("%d of %d passed", given, len(report.Proofs)).In(a.language))
	if !report.Passed() {
		lines = append(lines, say.T("Help: %s", a.contact()).In(a.language))
	}
	return strings.Join(lines, "\n")
}

type resultJSON struct {
	Name      string   `json:"name"`
	State     string   `json:"state"`
	LatencyMS *float64 `json:"latency_ms"`
	Detail    string   `json:"detail"`
	Cause     string   `json:"cause"`
	Remedy    string   `json:"remedy"`
}

type reportJSON struct {
	Passed       bool         `json:"passed"`
	Address      *string      `json:"address"`
	RelayAddress *string      `json:"relay_address"`
	Proofs       []resultJSON `json:"proofs"`
	Message      string       `json:"msg"`
}

// inJSON returns a report as the module rustdesk_probe returns it, in English.
func inJSON(report proof.Report) string {
	out := reportJSON{
		Passed: report.Passed(), Address: orNull(report.Address), RelayAddress: orNull(report.RelayAddress),
		Message: report.Message().In(say.English),
	}
	for _, result := range report.Proofs {
		out.Proofs = append(out.Proofs, resultJSON{
			result.Name, result.State, result.LatencyMS, result.Detail.In(say.English), string(result.Cause),
			result.Remedy.In(say.English),
		})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic(err) // texts and numbers are always JSON
	}
	return string(text)
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
