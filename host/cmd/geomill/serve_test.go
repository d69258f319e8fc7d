package main

import (
	"strings"
	"testing"

	"geomill/host"
	"geomill/host/internal/plugin"
)

func TestWhatIsRefusedIsToldOnceAndNothingIsLeftOut(t *testing.T) {
	t.Parallel()
	const wrong = "its schema is not JSON"
	refused := plugin.ProcessStatus{ID: "old", Reason: wrong}
	for name, tt := range map[string]struct {
		reason string
		want   []string
	}{
		"of the process":               {refused.Refusal(), []string{"old of a: " + wrong}},
		"of new content, for the same": {"new content of the file is refused, the one before goes on: " + wrong, []string{"old of a: " + wrong, "a: new content of the file is refused, the one before goes on: " + wrong}},
		"of another process":           {"process very-old is not offered: " + wrong, []string{"old of a: " + wrong, "a: process very-old is not offered: " + wrong}},
		"none":                         {"", []string{"old of a: " + wrong}},
	} {
		var out strings.Builder
		announce(&out, "http://localhost", []host.PluginStatus{{File: "a", Reason: tt.reason, Processes: []plugin.ProcessStatus{{ID: "fine"}, refused}}}, host.Config{})
		var got []string
		for line := range strings.Lines(out.String()) {
			if text, ok := strings.CutPrefix(line, "  refused  "); ok {
				got = append(got, strings.TrimSuffix(text, "\n"))
			}
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: refused %q, want %q", name, got, tt.want)
		}
	}
}
