package sdktest

import (
	"testing"

	"geomill/sdk/sdktest/check"
)

// CheckOption changes how Check checks a plugin.
type CheckOption = func(*check.Config)

// Check fails the test unless the plugin at path, an executable in whatever
// language, keeps the contract of proto/README.md: it is started as a host does
// and driven through its socket. See package check for what is looked at.
func Check(t testing.TB, path string, options ...CheckOption) {
	t.Helper()
	config := check.Config{Path: path}
	for _, option := range options {
		option(&config)
	}
	report, err := check.Run(t.Context(), config)
	if err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	for _, result := range report.Results {
		switch result.Outcome {
		case check.Fail:
			t.Errorf("%s\n%s", result.ID, result.Explain())
		case check.Warn, check.Skip:
			t.Logf("%s: %s: %s", result.Outcome, result.ID, result.Seen)
		}
	}
	if !report.Complete {
		t.Error("sdktest: the time was up before every check was tried")
	}
}
